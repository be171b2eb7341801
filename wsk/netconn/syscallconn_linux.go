// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// SyscallConn implements syscall.Conn, for programs that set socket options. Control passes the descriptor of a socket of
// the kernel that has the options of the connection and is bound to nothing. What the function has changed there is set on
// the connection when it returns: IP_TOS, IP_TTL, IP_MTU_DISCOVER, IP_RECVTOS, IP_RECVTTL, IP_PKTINFO, IP_MULTICAST_TTL,
// IP_MULTICAST_LOOP, their IPv6 kin, IPV6_MULTICAST_IF, memberships of multicast groups in the network namespace of the
// calling thread, SO_BROADCAST, SO_RCVBUF, SO_SNDBUF, SO_MARK and UDP_GRO. Control returns an error for SO_BINDTODEVICE, which would have no effect,
// and through a daemon for SO_MARK; a filter can't be attached (EPERM). Nor has what else is set there, and that is no error: IP_MULTICAST_IF
// is the one that programs set, for which there is [PacketConn4.SetMulticastInterface]. Read and Write
// refuse: the connection's datagrams do not pass through the descriptor.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if err := c.writes.refused(); errors.Is(err, net.ErrClosed) {
		return nil, c.opError("raw-control", nil, err)
	}
	return rawConn{c}, nil
}

type rawConn struct{ c *Conn }

// errNotThere is why nothing is read from the descriptor and written to it.
var errNotThere = fmt.Errorf("the datagrams of the connection do not pass through a descriptor: read and write by its own "+
	"methods, or by those of netconn.NewPacketConn4 and NewPacketConn6 in the place of x/net's: %w", errors.ErrUnsupported)

func (r rawConn) Read(func(fd uintptr) (done bool)) error {
	return r.c.opError("raw-read", nil, errNotThere)
}
func (r rawConn) Write(func(fd uintptr) (done bool)) error {
	return r.c.opError("raw-write", nil, errNotThere)
}

func (r rawConn) Control(f func(fd uintptr)) error {
	c, m := r.c, &r.c.mirror
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := c.openMirror(m); err != nil {
		return c.opError("raw-control", nil, err)
	}
	c.showBuffers(m)
	f(uintptr(m.fd))
	if err := c.takeOver(m); err != nil {
		return c.opError("raw-control", nil, err)
	}
	return nil
}

// mirrored is an option of Linux that the connection has, too.
type mirrored struct {
	level, name int
	six         bool // exists on IPv6 sockets only
	set         func(c *Conn, v int) error
}

// mirroredOptions are the options that are taken over. Those of level IPPROTO_IP exist on IPv6 sockets as well, where they
// concern the IPv4 datagrams of a dual-stack one.
var mirroredOptions = []mirrored{
	{syscall.IPPROTO_IP, syscall.IP_TOS, false, to(wsk.IPPROTO_IP, wsk.IP_TOS)},
	{syscall.IPPROTO_IP, syscall.IP_TTL, false, to(wsk.IPPROTO_IP, wsk.IP_TTL)},
	{syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, false, toFragmentPolicy(wsk.IPPROTO_IP, wsk.IP_MTU_DISCOVER)},
	{syscall.IPPROTO_IP, syscall.IP_RECVTOS, false, to(wsk.IPPROTO_IP, wsk.IP_RECVTOS)},
	{syscall.IPPROTO_IP, syscall.IP_RECVTTL, false, to(wsk.IPPROTO_IP, wsk.IP_RECVTTL)},
	{syscall.IPPROTO_IP, syscall.IP_PKTINFO, false, to(wsk.IPPROTO_IP, wsk.IP_PKTINFO)},
	{syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS, true, to(wsk.IPPROTO_IPV6, wsk.IPV6_TCLASS)},
	{syscall.IPPROTO_IPV6, syscall.IPV6_UNICAST_HOPS, true, to(wsk.IPPROTO_IPV6, wsk.IPV6_UNICAST_HOPS)},
	{syscall.IPPROTO_IPV6, syscall.IPV6_MTU_DISCOVER, true, toFragmentPolicy(wsk.IPPROTO_IPV6, wsk.IPV6_MTU_DISCOVER)},
	{syscall.IPPROTO_IPV6, syscall.IPV6_RECVTCLASS, true, to(wsk.IPPROTO_IPV6, wsk.IPV6_RECVTCLASS)},
	{syscall.IPPROTO_IPV6, syscall.IPV6_RECVHOPLIMIT, true, to(wsk.IPPROTO_IPV6, wsk.IPV6_HOPLIMIT)},
	{syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO, true, to(wsk.IPPROTO_IPV6, wsk.IPV6_PKTINFO)},
	{syscall.IPPROTO_IP, syscall.IP_MULTICAST_TTL, false, to(wsk.IPPROTO_IP, wsk.IP_MULTICAST_TTL)},
	{syscall.IPPROTO_IP, syscall.IP_MULTICAST_LOOP, false, to(wsk.IPPROTO_IP, wsk.IP_MULTICAST_LOOP)},
	{syscall.IPPROTO_IPV6, syscall.IPV6_MULTICAST_HOPS, true, to(wsk.IPPROTO_IPV6, wsk.IPV6_MULTICAST_HOPS)},
	{syscall.IPPROTO_IPV6, syscall.IPV6_MULTICAST_LOOP, true, to(wsk.IPPROTO_IPV6, wsk.IPV6_MULTICAST_LOOP)},
	{syscall.IPPROTO_IPV6, syscall.IPV6_MULTICAST_IF, true, to(wsk.IPPROTO_IPV6, wsk.IPV6_MULTICAST_IF)},
	{syscall.SOL_SOCKET, syscall.SO_BROADCAST, false, to(wsk.SOL_SOCKET, wsk.SO_BROADCAST)},
	{syscall.SOL_SOCKET, syscall.SO_RCVBUF, false, func(c *Conn, v int) error { return c.setReceiveBuffer(v / 2) }},
	{syscall.SOL_SOCKET, syscall.SO_SNDBUF, false, func(c *Conn, v int) error { return c.setSendBuffer(v / 2) }},
	{linuxSolUDP, linuxUDPGRO, false, func(c *Conn, v int) error {
		return c.setOption(wsk.IPPROTO_UDP, wsk.UDP_RECV_MAX_COALESCED_SIZE, uint32(min(v, 1))*largest)
	}},
	{syscall.SOL_SOCKET, syscall.SO_MARK, false, func(c *Conn, v int) error { return c.setMark(uint32(v)) }},
	{syscall.SOL_SOCKET, linuxSOBindToIfindex, false, unsupported("SO_BINDTODEVICE")},
}

const (
	linuxSOLockFilter = 44 // SO_LOCK_FILTER (asm-generic/socket.h)
	// linuxSOBindToIfindex is SO_BINDTOIFINDEX, which tells of SO_BINDTODEVICE, too.
	linuxSOBindToIfindex = 62
)

func to(level, code uint32) func(c *Conn, v int) error {
	return func(c *Conn, v int) error {
		if level == wsk.IPPROTO_IP && c.v6Only {
			return nil // there are no such datagrams
		}
		return c.setOption(level, code, uint32(v))
	}
}

// toFragmentPolicy is to for IP_MTU_DISCOVER, whose numbers differ.
func toFragmentPolicy(level, code uint32) func(c *Conn, v int) error {
	set := to(level, code)
	return func(c *Conn, v int) error {
		switch v {
		case syscall.IP_PMTUDISC_DONT:
			return set(c, int(wsk.IP_PMTUDISC_DONT))
		case syscall.IP_PMTUDISC_WANT:
			return set(c, int(wsk.IP_PMTUDISC_NOT_SET))
		case syscall.IP_PMTUDISC_DO:
			return set(c, int(wsk.IP_PMTUDISC_DO))
		case syscall.IP_PMTUDISC_PROBE:
			return set(c, int(wsk.IP_PMTUDISC_PROBE))
		}
		return unsupported("IP_MTU_DISCOVER")(c, v)
	}
}

func unsupported(name string) func(*Conn, int) error {
	return func(_ *Conn, v int) error { return fmt.Errorf("option %s=%d: %w", name, v, errors.ErrUnsupported) }
}

// defaultHops is the TTL and hop limit of a WSK socket until it is set.
const defaultHops = 128

// openMirror makes the socket on first use. Its mutex is held.
func (c *Conn) openMirror(m *mirror) error {
	switch {
	case m.closed:
		return net.ErrClosed
	case m.open:
		return nil
	}
	domain := syscall.AF_INET
	if c.family == wsk.AF_INET6 {
		domain = syscall.AF_INET6
	}
	fd, err := syscall.Socket(domain, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	m.fd, m.open = fd, true
	m.release = func(fd int) { syscall.Close(fd) }
	for _, o := range []struct {
		flag           ControlFlags
		level, name    int
		onlyOnIPv6Ones bool
	}{
		{ControlTOS, syscall.IPPROTO_IP, syscall.IP_RECVTOS, false},
		{ControlTTL, syscall.IPPROTO_IP, syscall.IP_RECVTTL, false},
		{ControlPacketInfo, syscall.IPPROTO_IP, syscall.IP_PKTINFO, false},
		{ControlTOS, syscall.IPPROTO_IPV6, syscall.IPV6_RECVTCLASS, true},
		{ControlTTL, syscall.IPPROTO_IPV6, syscall.IPV6_RECVHOPLIMIT, true},
		{ControlPacketInfo, syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO, true},
	} {
		if c.opts.Control&o.flag != 0 && (!o.onlyOnIPv6Ones || domain == syscall.AF_INET6) {
			_ = syscall.SetsockoptInt(fd, o.level, o.name, 1)
		}
	}
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1)
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, linuxSOLockFilter, 1) // a filter would see nothing
	// What WSK begins with, or setting the host's would change nothing.
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, syscall.IP_TTL, defaultHops)
	if domain == syscall.AF_INET6 {
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_UNICAST_HOPS, defaultHops)
	}
	if c.opts.Mark != 0 {
		_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_MARK, int(c.opts.Mark))
	}
	m.values = make([]int, len(mirroredOptions))
	for i := range mirroredOptions {
		m.values[i], _ = mirroredOptions[i].get(fd)
	}
	return nil
}

func (o *mirrored) get(fd int) (int, error) { return syscall.GetsockoptInt(fd, o.level, o.name) }

// showBuffers sets the sizes of buffers that other methods of the connection have set.
func (c *Conn) showBuffers(m *mirror) {
	for i := range mirroredOptions {
		o := &mirroredOptions[i]
		if o.level != syscall.SOL_SOCKET {
			continue
		}
		size := 0
		switch o.name {
		case syscall.SO_RCVBUF:
			size = int(c.receiveBuffer.Load())
		case syscall.SO_SNDBUF:
			size = int(c.sendBuffer.Load())
		}
		if size == 0 || 2*size == m.values[i] {
			continue
		}
		// The first goes beyond net.core.rmem_max and wmem_max, as the buffers of the connection do.
		if syscall.SetsockoptInt(m.fd, o.level, forced[o.name], size) != nil {
			_ = syscall.SetsockoptInt(m.fd, o.level, o.name, size)
		}
		m.values[i], _ = o.get(m.fd)
	}
}

var forced = map[int]int{syscall.SO_RCVBUF: syscall.SO_RCVBUFFORCE, syscall.SO_SNDBUF: syscall.SO_SNDBUFFORCE}

// takeOver sets on the connection what has changed on the socket. What can't be set is an error, and is set back.
func (c *Conn) takeOver(m *mirror) error {
	var errs []error
	for i := range mirroredOptions {
		o := &mirroredOptions[i]
		if o.six && c.family != wsk.AF_INET6 {
			continue
		}
		v, err := o.get(m.fd)
		if err != nil || v == m.values[i] {
			continue // an option that this kernel does not have can't be set
		}
		if err := o.set(c, v); err != nil {
			errs = append(errs, err)
			_ = syscall.SetsockoptInt(m.fd, o.level, o.name, m.values[i])
			continue
		}
		m.values[i] = v
	}
	return errors.Join(append(errs, c.takeGroups(m))...)
}
