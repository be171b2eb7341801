// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// newKernelSide is the host with sockets of the kernel's.
func newKernelSide() (*side, error) {
	s, err := newSide("kernel")
	if err != nil {
		return nil, err
	}
	for _, b := range bindings {
		if err := s.openKernel(b); err != nil {
			return nil, errors.Join(fmt.Errorf("open socket %s of the kernel's: %w", b.name, err), s.close())
		}
	}
	return s, nil
}

func (s *side) openKernel(b binding) error {
	domain := unix.AF_INET6
	if b.network == "udp4" {
		domain = unix.AF_INET
	}
	fd, err := s.lab.A.NS.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), b.name)
	s.closers = append(s.closers, f.Close)
	if err := configureKernel(fd, b, s.lab.A.If); err != nil {
		return err
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	s.readers.Go(func() {
		buf, oob := make([]byte, 65536), make([]byte, 512)
		for {
			var n, oobn int
			var from unix.Sockaddr
			var err error
			if conn.Read(func(fd uintptr) bool {
				n, oobn, _, from, err = unix.Recvmsg(int(fd), buf, oob, 0)
				return !errors.Is(err, unix.EAGAIN)
			}) != nil {
				return
			}
			if err != nil {
				continue
			}
			r := Record{Socket: b.name, Payload: string(buf[:n]), Source: sourceOf(from)}
			if r.controlOf(oob[:oobn]) == nil {
				s.take(r)
			}
		}
	})
	return nil
}

func sourceOf(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

func configureKernel(fd int, b binding, i *testenv.Iface) error {
	type option struct{ level, name, value int }
	options := []option{{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64 << 20}}
	four := []option{{unix.IPPROTO_IP, unix.IP_RECVTOS, 1}, {unix.IPPROTO_IP, unix.IP_RECVTTL, 1}, {unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		// A group's datagrams go to its members only, as in Winsock.
		{unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0}}
	options = append(options, four...) // on a dual one too, for what comes by IPv4
	var sa unix.Sockaddr
	if b.network == "udp4" {
		sa = &unix.SockaddrInet4{Addr: b.local.Addr().As4(), Port: int(b.local.Port())}
	} else {
		only := 0
		if b.network == "udp6" {
			only = 1
		}
		options = append(options, option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only}, option{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1},
			option{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1}, option{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
			option{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0})
		sa = &unix.SockaddrInet6{Addr: b.local.Addr().As16(), Port: int(b.local.Port())}
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("set socket option %d/%d: %w", o.level, o.name, err)
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return err
	}
	switch {
	case !b.group.IsValid():
		return nil
	case b.group.Is4():
		return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: b.group.As4(), Ifindex: int32(i.Index())})
	}
	return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_ADD_MEMBERSHIP,
		&unix.IPv6Mreq{Multiaddr: b.group.As16(), Interface: uint32(i.Index())})
}
