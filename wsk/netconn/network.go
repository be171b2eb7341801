// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// form is what kind of socket a connection needs.
type form struct {
	family uint16
	v6Only bool
	bind   netip.AddrPort
	orIPv4 bool // IPv4 will do where the host has no IPv6
	group  bool // it is for listening on a group
}

// listenForm is how package net chooses a socket for listening: "udp" on a wildcard takes both versions of IP.
func listenForm(network string, laddr netip.AddrPort) (form, error) {
	addr := laddr.Addr()
	wildcard := !addr.IsValid() || addr.Unmap().IsUnspecified()
	switch network {
	case "udp":
		if wildcard {
			f := form6(netip.IPv6Unspecified(), laddr.Port(), false)
			f.orIPv4 = !addr.Is6() || addr.Is4In6()
			return f, nil
		}
		if addr = addr.Unmap(); addr.Is4() {
			return form4(addr, laddr.Port()), nil
		}
		return form6(addr, laddr.Port(), true), nil
	case "udp4":
		if wildcard {
			return form4(netip.IPv4Unspecified(), laddr.Port()), nil
		}
		if addr = addr.Unmap(); !addr.Is4() {
			return form{}, &net.AddrError{Err: "non-IPv4 address", Addr: addr.String()}
		}
		return form4(addr, laddr.Port()), nil
	case "udp6":
		if wildcard {
			return form6(netip.IPv6Unspecified(), laddr.Port(), true), nil
		}
		if addr.Unmap().Is4() {
			return form{}, &net.AddrError{Err: "non-IPv6 address", Addr: addr.String()}
		}
		return form6(addr, laddr.Port(), true), nil
	}
	return form{}, net.UnknownNetworkError(network)
}

// onGroup is how package net listens on a group: on the wildcard, so that the connection can join any and has what is sent to
// the host itself, beside others that listen so. "udp" with a group of IPv6 takes both versions of IP.
func (f form) onGroup(network string) form {
	if !f.bind.Addr().IsMulticast() {
		return f
	}
	f.group = true
	if f.family == wsk.AF_INET {
		f.bind = netip.AddrPortFrom(netip.IPv4Unspecified(), f.bind.Port())
		return f
	}
	f.bind, f.v6Only = netip.AddrPortFrom(netip.IPv6Unspecified(), f.bind.Port()), network == "udp6"
	return f
}

func form4(addr netip.Addr, port uint16) form {
	return form{family: wsk.AF_INET, bind: netip.AddrPortFrom(addr, port)}
}

func form6(addr netip.Addr, port uint16, v6Only bool) form {
	return form{family: wsk.AF_INET6, v6Only: v6Only, bind: netip.AddrPortFrom(addr, port)}
}

// dialForm is the socket for a connection to raddr, which decides the family.
func dialForm(network string, laddr, raddr netip.AddrPort) (form, error) {
	if !raddr.Addr().IsValid() {
		return form{}, errMissingAddress
	}
	remote, err := listenForm(network, netip.AddrPortFrom(concrete(raddr.Addr().Unmap()), raddr.Port()))
	if err != nil {
		return form{}, err
	}
	local := laddr.Addr().Unmap()
	switch {
	case !laddr.Addr().IsValid() || local.IsUnspecified():
		if remote.family == wsk.AF_INET {
			return form4(netip.IPv4Unspecified(), laddr.Port()), nil
		}
		return form6(netip.IPv6Unspecified(), laddr.Port(), true), nil
	case local.Is4() != (remote.family == wsk.AF_INET):
		return form{}, &net.AddrError{Err: "mismatched local address type", Addr: laddr.String()}
	case local.Is4():
		return form4(local, laddr.Port()), nil
	}
	return form6(local, laddr.Port(), true), nil
}

// concrete replaces an unspecified destination by the loopback address.
func concrete(addr netip.Addr) netip.Addr {
	switch {
	case !addr.IsUnspecified():
		return addr
	case addr.Is4():
		return ipv4Loopback
	}
	return netip.IPv6Loopback()
}
