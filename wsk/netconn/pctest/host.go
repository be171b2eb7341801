// SPDX-License-Identifier: Apache-2.0

package pctest

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// Conn are the methods of *net.UDPConn that need no file descriptor.
type Conn interface {
	net.Conn
	net.PacketConn
	ReadFromUDP(b []byte) (int, *net.UDPAddr, error)
	WriteToUDP(b []byte, addr *net.UDPAddr) (int, error)
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
	ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error)
	ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error)
	WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error)
	WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error)
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
}

var _ Conn = (*net.UDPConn)(nil)

// Host opens connections in one place of the network.
type Host struct {
	// Addr is an address of the host that the other host reaches.
	Addr   netip.Addr
	Listen func(network string, laddr netip.AddrPort) (Conn, error)
	Dial   func(network string, laddr, raddr netip.AddrPort) (Conn, error)
	// Control asks for IP_PKTINFO, IP_TTL and IP_TOS, or their IPv6 kin, with what arrives. nil leaves control
	// messages untested.
	Control func(c Conn) error
}

// Hosts are what a suite runs on. Addr is of the same IP version in both.
type Hosts struct {
	A, B Host
	// MaxPayload is the largest datagram that passes between the hosts; 0 means the largest that there is.
	MaxPayload int
	// Refuses says that a datagram to a port of B where nobody listens brings an ICMP error.
	Refuses bool
}

// Kernel is a host with the sockets of package net. in runs a function where the host is, such as in a network namespace;
// nil means here.
func Kernel(addr netip.Addr, in func(func() error) error) Host {
	if in == nil {
		in = func(f func() error) error { return f() }
	}
	udpAddr := func(ap netip.AddrPort) *net.UDPAddr {
		if ap == (netip.AddrPort{}) {
			return nil
		}
		return net.UDPAddrFromAddrPort(ap)
	}
	open := func(f func() (*net.UDPConn, error)) (Conn, error) {
		var c *net.UDPConn
		err := in(func() (err error) {
			c, err = f()
			return err
		})
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	return Host{
		Addr: addr,
		Listen: func(network string, laddr netip.AddrPort) (Conn, error) {
			return open(func() (*net.UDPConn, error) { return net.ListenUDP(network, udpAddr(laddr)) })
		},
		Dial: func(network string, laddr, raddr netip.AddrPort) (Conn, error) {
			return open(func() (*net.UDPConn, error) { return net.DialUDP(network, udpAddr(laddr), udpAddr(raddr)) })
		},
		Control: kernelControl,
	}
}

// waitLimit is how long something may take that should take no time. Only what is broken gets there.
const waitLimit = time.Minute

// is4 reports which version of IP the hosts speak.
func (h *Hosts) is4() bool { return h.A.Addr.Is4() }

// network is the network with the version of IP of the hosts alone.
func (h *Hosts) network() string {
	if h.is4() {
		return "udp4"
	}
	return "udp6"
}

// listen opens a connection on the host's address and closes it at the end of the test.
func (h *Host) listen(t *testing.T) Conn {
	t.Helper()
	return h.open(t, "udp", netip.AddrPortFrom(h.Addr, 0))
}

func (h *Host) open(t *testing.T, network string, laddr netip.AddrPort) Conn {
	t.Helper()
	c, err := h.Listen(network, laddr)
	if err != nil {
		t.Fatalf("listen on %v: %v", laddr, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (h *Host) dial(t *testing.T, raddr netip.AddrPort) Conn {
	t.Helper()
	c, err := h.Dial("udp", netip.AddrPort{}, raddr)
	if err != nil {
		t.Fatalf("dial %v: %v", raddr, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// pair opens a connection on each host.
func (h *Hosts) pair(t *testing.T) (a, b Conn) {
	t.Helper()
	return h.A.listen(t), h.B.listen(t)
}

// addrOf is the local address of a connection.
func addrOf(c Conn) netip.AddrPort {
	ap := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// at is the address under which the other host reaches a connection of this one.
func (h *Host) at(c Conn) netip.AddrPort { return netip.AddrPortFrom(h.Addr, addrOf(c).Port()) }

// unmap is an address without the form that a dual-stack socket gives it.
func unmap(ap netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()) }
