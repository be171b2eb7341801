// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// receiveBuffer is asked for every receiving socket, so that a burst of a test fits before the reader runs. The
// kernel caps it at net.core.rmem_max where SO_RCVBUFFORCE is not allowed.
const receiveBuffer = 64 << 20

// Datagram is what the kernel's UDP stack delivered.
type Datagram struct {
	Payload []byte
	Source  netip.AddrPort
	// Destination is the address the datagram was sent to (IP_PKTINFO, IPV6_PKTINFO), without zone.
	Destination netip.Addr
	// Ifindex is the interface it came in through, in the receiver's namespace.
	Ifindex int
	// TOS is the IPv4 type of service or the IPv6 traffic class, ECN bits included. -1 if the kernel did not say.
	TOS int
	// TTL is the IPv4 time to live or the IPv6 hop limit. -1 if the kernel did not say.
	TTL int
	// Time is when the kernel got the datagram.
	Time time.Time
}

// UDPReceiverOptions says how a receiver listens. The zero value records everything.
type UDPReceiverOptions struct {
	// CountOnly counts datagrams and bytes in batches and keeps nothing else: for rates.
	CountOnly bool
	// Groups are multicast addresses to join on Interface.
	Groups []netip.Addr
	// Interface is the index for Groups.
	Interface int
}

// UDPReceiver is a kernel UDP socket in a namespace with a goroutine that reads it. Its methods may be called
// concurrently.
type UDPReceiver struct {
	file  *os.File
	conn  syscall.RawConn
	local netip.AddrPort
	log   *record[Datagram]

	count, bytes, lost atomic.Uint64
	done               chan struct{}
}

// NewUDPReceiver listens in the namespace. The family is that of the address; an unspecified address takes every
// address of that family only, port 0 lets the kernel choose. When it returns, datagrams are being received.
func NewUDPReceiver(ns *Namespace, local netip.AddrPort, opts UDPReceiverOptions) (*UDPReceiver, error) {
	fd, err := ns.Socket(family(local.Addr()), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		return nil, err
	}
	r := &UDPReceiver{log: newRecord[Datagram](), done: make(chan struct{})}
	if err := r.configure(fd, local, opts); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen on udp %v: %w", local, err)
	}
	// os.NewFile registers the descriptor with the runtime's poller, so that reads block a goroutine and Close wakes
	// it.
	r.file = os.NewFile(uintptr(fd), "udp "+r.local.String())
	if r.conn, err = r.file.SyscallConn(); err != nil {
		r.file.Close()
		return nil, fmt.Errorf("listen on udp %v: %w", local, err)
	}
	read := r.readRecords
	if opts.CountOnly {
		read = r.readCounts
	}
	go func() {
		defer close(r.done)
		r.log.end(read())
	}()
	return r, nil
}

func (r *UDPReceiver) configure(fd int, local netip.AddrPort, opts UDPReceiverOptions) error {
	growReceiveBuffer(fd)
	type option struct{ level, name, value int }
	options := []option{{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1}, {unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1}}
	if local.Addr().Is4() {
		options = append(options, option{unix.IPPROTO_IP, unix.IP_RECVTOS, 1}, option{unix.IPPROTO_IP, unix.IP_RECVTTL, 1},
			option{unix.IPPROTO_IP, unix.IP_PKTINFO, 1})
	} else {
		options = append(options, option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
			option{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1}, option{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1},
			option{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("set socket option %d/%d: %w", o.level, o.name, err)
		}
	}
	for _, g := range opts.Groups {
		if err := joinGroup(fd, g, opts.Interface); err != nil {
			return fmt.Errorf("join %v on interface %d: %w", g, opts.Interface, err)
		}
	}
	if err := unix.Bind(fd, sockaddr(local, opts.Interface)); err != nil {
		return err
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	r.local = addrPort(sa)
	return nil
}

// growReceiveBuffer does what it can: too small a buffer shows as Lost.
func growReceiveBuffer(fd int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
}

func joinGroup(fd int, group netip.Addr, ifindex int) error {
	if group.Is4() {
		return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
			&unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(ifindex)})
	}
	return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_ADD_MEMBERSHIP,
		&unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(ifindex)})
}

// Local returns the address and port that the socket is bound to.
func (r *UDPReceiver) Local() netip.AddrPort { return r.local }

// Count returns the number of datagrams received so far.
func (r *UDPReceiver) Count() uint64 { return r.count.Load() }

// Bytes returns the number of payload bytes received so far.
func (r *UDPReceiver) Bytes() uint64 { return r.bytes.Load() }

// Lost returns the number of datagrams that the kernel dropped because the socket's buffer was full, as of the last
// one received.
func (r *UDPReceiver) Lost() uint64 { return r.lost.Load() }

// Datagrams returns what was received so far, in order. The payloads are never changed afterwards.
func (r *UDPReceiver) Datagrams() []Datagram { return r.log.all() }

// Wait blocks until n datagrams have come since the start or the last Reset, and returns all of them. When ctx ends
// or the receiver is closed first, it returns those that came, with an error. A counting receiver has nothing to
// return: use WaitCount.
func (r *UDPReceiver) Wait(ctx context.Context, n int) ([]Datagram, error) {
	return r.log.wait(ctx, "datagrams at "+r.local.String(), n)
}

// WaitFor blocks until a datagram matches and returns the first that does, from the start or the last Reset on.
func (r *UDPReceiver) WaitFor(ctx context.Context, match func(Datagram) bool) (Datagram, error) {
	return r.log.find(ctx, "datagrams at "+r.local.String(), match)
}

// WaitCount blocks until at least n datagrams have been counted.
func (r *UDPReceiver) WaitCount(ctx context.Context, n uint64) error {
	return Poll(ctx, fmt.Sprintf("%d datagrams at %v", n, r.local), func() (bool, error) {
		return r.count.Load() >= n, nil
	})
}

// Reset forgets the recorded datagrams; the counts go on.
func (r *UDPReceiver) Reset() { r.log.reset() }

// Close ends the receiver, and every Wait with it. A second Close does nothing.
func (r *UDPReceiver) Close() error {
	err := r.file.Close()
	<-r.done
	if isClosed(err) {
		return nil
	}
	return err
}
