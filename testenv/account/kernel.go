// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// ErrnoName names a code of a kernel sender's book.
func ErrnoName(code uint32) string { return unix.ErrnoName(unix.Errno(code)) }

// KernelSender sends the datagrams of a flow through a UDP socket of the kernel's. A call that fails has sent nothing.
type KernelSender struct {
	Book *Book
	plan Plan
	to   unix.Sockaddr
	file *os.File
	fd   int
}

// NewKernelSender opens the socket in a namespace.
func NewKernelSender(ns *testenv.Namespace, to netip.AddrPort, plan Plan) (*KernelSender, error) {
	domain, sa := sockaddr(to)
	fd, err := ns.Socket(domain, unix.SOCK_DGRAM, unix.IPPROTO_UDP)
	if err != nil {
		return nil, err
	}
	s := &KernelSender{Book: NewBook(plan.Flow, ErrnoName), plan: plan, to: sa, fd: fd, file: os.NewFile(uintptr(fd), "udp sender")}
	// What waits for a neighbour counts; the sender never waits, so this bounds how much it may lose there.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20)
	return s, nil
}

func sockaddr(to netip.AddrPort) (domain int, sa unix.Sockaddr) {
	if to.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port())}
}

// Run is that of [Sender].
func (s *KernelSender) Run(ctx context.Context, n int) {
	start := time.Now()
	var b []byte
	for i := 0; (n < 0 || i < n) && ctx.Err() == nil; i++ {
		if wait := time.Until(s.plan.pace(start, i)); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
		seq := s.Book.Begin()
		b = Tag{s.plan.Run, s.plan.Flow, seq}.Append(b[:0], s.plan.size(seq))
		err := unix.Sendto(s.fd, b, 0, s.to)
		for err == unix.EINTR {
			err = unix.Sendto(s.fd, b, 0, s.to)
		}
		var errno unix.Errno
		switch {
		case err == nil:
			s.Book.End(seq, Sent, 0)
		case errors.As(err, &errno):
			s.Book.End(seq, Refused, uint32(errno))
		}
	}
}

// Close closes the socket.
func (s *KernelSender) Close() error { return s.file.Close() }

// KernelReceiver takes datagrams with a UDP socket of the kernel's.
type KernelReceiver struct {
	*Arrivals
	file *os.File
	done chan struct{}
}

// NewKernelReceiver listens in a namespace. buffer is the size of its receive buffer in bytes, 0 as much as may be.
func NewKernelReceiver(ns *testenv.Namespace, local netip.AddrPort, run uint64, buffer int) (*KernelReceiver, error) {
	domain, sa := sockaddr(local)
	fd, err := ns.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		return nil, err
	}
	if buffer == 0 {
		buffer = 64 << 20
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer)
	if domain == unix.AF_INET6 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err := unix.Bind(fd, sa); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen on udp %v: %w", local, err)
	}
	r := &KernelReceiver{Arrivals: NewArrivals(run), file: os.NewFile(uintptr(fd), "udp "+local.String()), done: make(chan struct{})}
	conn, err := r.file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, r.file.Close())
	}
	go func() {
		defer close(r.done)
		b := make([]byte, 65536)
		for {
			var n int
			var err error
			if conn.Read(func(fd uintptr) bool {
				n, _, err = unix.Recvfrom(int(fd), b, 0)
				return !errors.Is(err, unix.EAGAIN)
			}) != nil {
				return
			}
			if err == nil {
				r.Take(b[:n])
			}
		}
	}()
	return r, nil
}

// Close ends the receiver.
func (r *KernelReceiver) Close() error {
	err := r.file.Close()
	<-r.done
	return err
}
