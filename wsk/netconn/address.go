// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// sockaddr stores a destination in an op, in the form of the socket's family.
func (c *Conn) sockaddr(o *op, to netip.AddrPort) (wsk.SOCKADDR, error) {
	addr, err := c.destination(to.Addr())
	if err != nil {
		return nil, err
	}
	if to.Port() == 0 {
		return nil, os.NewSyscallError("sendto", syscall.EINVAL)
	}
	return wsk.AppendSockaddr(o.address[:0], netip.AddrPortFrom(addr, to.Port())), nil
}

// destination gives an address the form of the socket's family. An unspecified address means the host itself, as on
// Linux, and so does the zero Addr, which package net allows.
func (c *Conn) destination(addr netip.Addr) (netip.Addr, error) {
	if c.family == wsk.AF_INET {
		switch {
		case !addr.IsValid():
			return ipv4Loopback, nil
		case addr.Is6() && !addr.Is4In6():
			return addr, &net.AddrError{Err: "non-IPv4 address", Addr: addr.String()}
		}
		if addr = addr.Unmap(); addr.IsUnspecified() {
			addr = ipv4Loopback
		}
		return addr, nil
	}
	switch {
	case !addr.IsValid():
		return netip.IPv6Loopback(), nil
	case c.v6Only && (addr.Is4() || addr.Is4In6()):
		return addr, os.NewSyscallError("sendto", syscall.ENETUNREACH)
	case addr.Unmap() == netip.IPv4Unspecified():
		return netip.AddrFrom16(ipv4Loopback.As16()), nil
	case addr.IsUnspecified():
		return netip.IPv6Loopback(), nil
	case addr.Is4():
		return netip.AddrFrom16(addr.As16()), nil
	}
	return c.opts.numericZone(addr)
}

var ipv4Loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// numericZone replaces a zone that is a name by the index of the interface.
func (o *Options) numericZone(addr netip.Addr) (netip.Addr, error) {
	zone := addr.Zone()
	if zone == "" {
		return addr, nil
	}
	if _, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return addr, nil
	}
	index := o.InterfaceIndex
	if index == nil {
		index = func(name string) (int, error) {
			iface, err := net.InterfaceByName(name)
			if err != nil {
				return 0, err
			}
			return iface.Index, nil
		}
	}
	i, err := index(zone)
	if err != nil {
		return addr, &net.AddrError{Err: "unknown zone: " + err.Error(), Addr: addr.String()}
	}
	return addr.WithZone(strconv.Itoa(i)), nil
}

// sender is the address of the sender that a receive has stored.
func (o *op) sender() netip.AddrPort {
	ap, _ := wsk.SOCKADDR(o.address[:]).AddrPort()
	return ap
}

// udpAddr is net.UDPAddrFromAddrPort into memory of the caller's. An IPv4 address takes 4 bytes, as on an IPv4 socket
// of package net, and a v4-mapped one 16.
func udpAddr(a *net.UDPAddr, ap netip.AddrPort) *net.UDPAddr {
	addr := ap.Addr()
	*a = net.UDPAddr{IP: addr.AsSlice(), Port: int(ap.Port()), Zone: addr.Zone()}
	return a
}

// addrPort is the destination in a net.Addr.
func addrPort(a *net.UDPAddr) (netip.AddrPort, error) {
	ap := a.AddrPort()
	if !ap.Addr().IsValid() && len(a.IP) != 0 {
		return ap, &net.AddrError{Err: "invalid IP address", Addr: a.String()}
	}
	if a.Port < 0 || a.Port > 65535 {
		return ap, &net.AddrError{Err: "invalid port", Addr: a.String()}
	}
	return ap, nil
}
