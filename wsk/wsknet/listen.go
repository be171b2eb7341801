// SPDX-License-Identifier: Apache-2.0

package wsknet

import (
	"context"
	"net"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

// ListenUDP opens a connection as net.ListenUDP does: with a nil laddr on every address and a free port. The stack closes it if
// the caller has not. Errors are *net.OpError; on a stack that is closed one that wraps net.ErrClosed.
func (s *Stack) ListenUDP(network string, laddr *net.UDPAddr) (*UDPConn, error) {
	return s.listenUDP(network, laddr, nil)
}

func (s *Stack) listenUDP(network string, laddr *net.UDPAddr, ended func()) (*UDPConn, error) {
	local, err := addrPort(laddr)
	if err == nil {
		return s.open(ended, func() (*netconn.Conn, error) { return netconn.Listen(s.npi, network, local, s.opts) })
	}
	return nil, &net.OpError{Op: "listen", Net: network, Addr: opAddr(laddr), Err: err}
}

// DialUDP opens a connection to raddr as net.DialUDP does. Otherwise it is [Stack.ListenUDP].
func (s *Stack) DialUDP(network string, laddr, raddr *net.UDPAddr) (*UDPConn, error) {
	return s.dialUDP(network, laddr, raddr, nil)
}

func (s *Stack) dialUDP(network string, laddr, raddr *net.UDPAddr, ended func()) (*UDPConn, error) {
	local, err := addrPort(laddr)
	var remote netip.AddrPort
	if err == nil {
		remote, err = addrPort(raddr)
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Source: opAddr(laddr), Addr: opAddr(raddr), Err: err}
	}
	if raddr != nil && !remote.Addr().IsValid() { // a port of the host itself
		remote = netip.AddrPortFrom(unspecified(network), remote.Port())
	}
	return s.open(ended, func() (*netconn.Conn, error) { return netconn.Dial(s.npi, network, local, remote, s.opts) })
}

// ListenPacket opens a connection as net.ListenPacket does, for the networks "udp", "udp4" and "udp6". What it returns is a *UDPConn.
func (s *Stack) ListenPacket(network, address string) (net.PacketConn, error) {
	return packetConn(s.listenPacket(context.Background(), network, address, nil))
}

func (s *Stack) listenPacket(ctx context.Context, network, address string, ended func()) (*UDPConn, error) {
	return s.open(ended, func() (*netconn.Conn, error) {
		lc := netconn.ListenConfig{Provider: s.npi, Options: s.opts}
		c, err := lc.ListenPacket(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return c.(*netconn.Conn), nil
	})
}

// DialContext opens a connection as the method of net.Dialer does, for the networks "udp", "udp4" and "udp6". What it
// returns is a *UDPConn.
func (s *Stack) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return netConn(s.dialContext(ctx, network, address, nil))
}

func (s *Stack) dialContext(ctx context.Context, network, address string, ended func()) (*UDPConn, error) {
	return s.open(ended, func() (*netconn.Conn, error) {
		d := netconn.Dialer{Provider: s.npi, Options: s.opts}
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return c.(*netconn.Conn), nil
	})
}

// packetConn and netConn keep a nil pointer from becoming an interface that is not nil.
func packetConn(c *UDPConn, err error) (net.PacketConn, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

func netConn(c *UDPConn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// addrPort is the address in a *net.UDPAddr, the zero AddrPort for nil.
func addrPort(a *net.UDPAddr) (netip.AddrPort, error) {
	if a == nil {
		return netip.AddrPort{}, nil
	}
	ap := a.AddrPort()
	if !ap.Addr().IsValid() && len(a.IP) != 0 {
		return ap, &net.AddrError{Err: "invalid IP address", Addr: a.String()}
	}
	if a.Port < 0 || a.Port > 65535 {
		return ap, &net.AddrError{Err: "invalid port", Addr: a.String()}
	}
	return ap, nil
}

// opAddr is an address for an error, the nil interface for nil.
func opAddr(a *net.UDPAddr) net.Addr {
	if a == nil {
		return nil
	}
	return a
}

// unspecified is the host itself.
func unspecified(network string) netip.Addr {
	if network == "udp6" {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}
