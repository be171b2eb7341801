// SPDX-License-Identifier: Apache-2.0

package offload

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// quotes receives the ICMP errors about what is sent from one port, which it holds.
type quotes struct {
	icmp *os.File
	conn syscall.RawConn
	udp  int
	port uint16
	six  bool
	buf  [2048]byte
}

// openQuotes opens both sockets on the thread that within runs it on. The raw one needs CAP_NET_RAW, as AF_XDP does.
func openQuotes(within func(func() error) error, six bool) (*quotes, error) {
	s := &quotes{udp: -1, six: six}
	err := within(s.open)
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *quotes) open() error {
	domain, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	var any unix.Sockaddr = &unix.SockaddrInet4{}
	if s.six {
		domain, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
		any = &unix.SockaddrInet6{}
	}
	var err error
	if s.udp, err = unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		s.udp = -1
		return os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(s.udp, any); err != nil {
		return os.NewSyscallError("bind", err)
	}
	local, err := unix.Getsockname(s.udp)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	switch sa := local.(type) {
	case *unix.SockaddrInet4:
		s.port = uint16(sa.Port)
	case *unix.SockaddrInet6:
		s.port = uint16(sa.Port)
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return os.NewSyscallError("raw socket", err)
	}
	s.icmp = os.NewFile(uintptr(fd), "icmp")
	if s.conn, err = s.icmp.SyscallConn(); err != nil {
		return err
	}
	if s.six {
		filter := unix.ICMPv6Filter{}
		for i := range filter.Data {
			filter.Data[i] = ^uint32(0) // a set bit is a type that is not wanted
		}
		filter.Data[0] &^= 1<<icmp6Unreachable | 1<<icmp6TimeExceed
		err = unix.SetsockoptICMPv6Filter(fd, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &filter)
	} else {
		const icmpFilter = 1 // ICMP_FILTER of linux/icmp.h
		err = unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilter, ^(1<<icmpUnreachable | 1<<IcmpTimeExceed))
	}
	return os.NewSyscallError("setsockopt", err)
}

func (s *quotes) close() {
	if s.udp >= 0 {
		unix.Close(s.udp)
	}
	if s.icmp != nil {
		s.icmp.Close()
	}
}

// next waits for the next quote, whoever it is meant for. The error wraps os.ErrDeadlineExceeded when there was none in
// time, and context.Canceled when ctx is done.
func (s *quotes) next(ctx context.Context, deadline time.Time) (Quote, error) {
	stop := context.AfterFunc(ctx, func() { s.icmp.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		if err := s.icmp.SetReadDeadline(deadline); err != nil {
			return Quote{}, err
		}
		if ctx.Err() != nil {
			return Quote{}, context.Canceled
		}
		n, from, err := s.read()
		if ctx.Err() != nil {
			return Quote{}, context.Canceled
		}
		if err != nil {
			return Quote{}, err
		}
		if q, ok := s.parse(s.buf[:n], from); ok {
			return q, nil
		}
	}
}

func (s *quotes) read() (n int, from unix.Sockaddr, err error) {
	cerr := s.conn.Read(func(fd uintptr) bool {
		n, from, err = unix.Recvfrom(int(fd), s.buf[:], unix.MSG_DONTWAIT)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if cerr != nil {
		return 0, nil, cerr
	}
	return n, from, os.NewSyscallError("recvfrom", err)
}

func (s *quotes) parse(b []byte, from unix.Sockaddr) (Quote, bool) {
	if !s.six {
		return ParseQuote(b)
	}
	var by netip.Addr
	if sa, ok := from.(*unix.SockaddrInet6); ok {
		by = netip.AddrFrom16(sa.Addr)
	}
	return ParseQuote6(b, by)
}
