// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
)

// Companion is the kernel UDP socket that every bound endpoint holds on its address and port. It keeps the port
// from everybody else, brings ICMP errors and path MTUs, and sends to destinations that AF_XDP does not reach.
type Companion struct {
	Socket

	mu      lockrank.Mutex[locks.CompanionMu]
	waiting ops.List
	sending bool
	closed  bool
	aborted bool
	policy  wsk.FragmentPolicy // what the socket is set to; touched by the sender only
	noCheck bool
	scratch slowScratch

	Groups groupSockets
}

// The dynamic port range of Windows (wsk.md §4.5).
const (
	firstDynamicPort = 49152
	lastDynamicPort  = 65535
)

// Open binds a kernel socket to the wanted address, choosing a free dynamic port where none is asked for.
func Open(own *Owner, req wsk.BindRequest) (*Companion, netip.AddrPort, wsk.NTSTATUS) {
	c := &Companion{policy: unsetPolicy}
	six := own.Family == wsk.AF_INET6
	options := []sockopt{{unix.SOL_SOCKET, unix.SO_BROADCAST, 1}} // the permission is the WSK socket's, checked before
	if six {
		options = append(options, sockopt{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, boolInt(!req.DualStack)})
	}
	var local netip.AddrPort
	err := c.open(own, six, options, func(fd int) (err error) {
		local, err = own.Host.hold(c, fd, req)
		return err
	})
	if err != nil {
		own.Host.Log.Debug("bind", "address", req.Local, "err", err)
		return nil, netip.AddrPort{}, bindStatus(err)
	}
	return c, local, wsk.STATUS_SUCCESS
}

var errNoPort = errors.New("no free port in the dynamic range")

// bindStatus is the status of a WskBind that the kernel refused (wsk.md §2.5).
func bindStatus(err error) wsk.NTSTATUS {
	if errors.Is(err, errNoPort) {
		return wsk.STATUS_TOO_MANY_ADDRESSES
	}
	var shared errShared
	if errors.As(err, &shared) {
		return wsk.NTSTATUS(shared)
	}
	return errnoStatus(err)
}

// errnoStatus translates what the kernel's own stack says (wsk.md §7).
func errnoStatus(err error) wsk.NTSTATUS {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return wsk.STATUS_UNSUCCESSFUL
	}
	switch errno {
	case unix.EMSGSIZE:
		return wsk.STATUS_INVALID_BUFFER_SIZE
	case unix.ENETUNREACH:
		return wsk.STATUS_NETWORK_UNREACHABLE
	case unix.EHOSTUNREACH:
		return wsk.STATUS_HOST_UNREACHABLE
	case unix.EADDRINUSE:
		return wsk.STATUS_ADDRESS_ALREADY_EXISTS
	case unix.EADDRNOTAVAIL:
		return wsk.STATUS_INVALID_ADDRESS_COMPONENT
	case unix.EACCES, unix.EPERM:
		return wsk.STATUS_ACCESS_DENIED
	case unix.ENOBUFS, unix.ENOMEM, unix.EMFILE, unix.ENFILE:
		return wsk.STATUS_INSUFFICIENT_RESOURCES
	case unix.ECONNREFUSED:
		return wsk.STATUS_PORT_UNREACHABLE
	case unix.EOPNOTSUPP, unix.EAFNOSUPPORT:
		return wsk.STATUS_NOT_SUPPORTED
	case unix.ENETDOWN:
		return wsk.STATUS_NETWORK_UNREACHABLE
	case unix.ECANCELED:
		return wsk.STATUS_CANCELLED
	case unix.ENODEV, unix.ENXIO:
		return wsk.STATUS_INVALID_ADDRESS_COMPONENT
	default:
		return wsk.STATUS_INVALID_PARAMETER
	}
}

// close gives the port back. Nothing is waiting any more. Host.BindMu is held.
func (c *Companion) close() {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if was {
		return
	}
	for _, k := range c.sockets() {
		k.file.Close()
	}
}

func (c *Companion) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}
