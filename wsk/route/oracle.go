// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// oracle is a socket that is asked which source the kernel would choose where no message asks for that. Connecting a UDP socket
// sends nothing.
type oracle struct {
	mu sync.Mutex
	fd int // IPv6; −1 when the family is not there
}

// newOracle must run in the namespace.
func newOracle() (*oracle, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return &oracle{fd: -1}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open socket for source addresses: %w", err)
	}
	return &oracle{fd: fd}, nil
}

func (o *oracle) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fd >= 0 {
		unix.Close(o.fd)
		o.fd = -1
	}
}

// source is the address from which a socket without one of its own would send to q.
func (o *oracle) source(q question) (netip.Addr, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fd < 0 {
		return netip.Addr{}, unix.EAFNOSUPPORT
	}
	port := q.dport
	if port == 0 {
		port = discardPort
	}
	for _, opt := range []struct{ level, name, value int }{
		{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(q.tos)},
		{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_IF, int(networkOrder(uint32(q.oif)))},
		{unix.SOL_SOCKET, unix.SO_MARK, int(q.mark)},
	} {
		if err := unix.SetsockoptInt(o.fd, opt.level, opt.name, opt.value); err != nil && opt.value != 0 {
			return netip.Addr{}, err
		}
	}
	err := unix.Connect(o.fd, &unix.SockaddrInet6{Port: int(port), Addr: q.dst.As16(), ZoneId: uint32(q.oif)})
	if err != nil {
		return netip.Addr{}, err
	}
	sa, err := unix.Getsockname(o.fd)
	if err = errors.Join(err, disconnect(o.fd)); err != nil {
		return netip.Addr{}, err
	}
	in, ok := sa.(*unix.SockaddrInet6)
	if !ok {
		return netip.Addr{}, unix.EAFNOSUPPORT
	}
	return netip.AddrFrom16(in.Addr), nil
}

// networkOrder is the number whose bytes in memory are those of v in network byte order.
func networkOrder(v uint32) int32 {
	return int32(binary.NativeEndian.Uint32(binary.BigEndian.AppendUint32(nil, v)))
}
