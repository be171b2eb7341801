// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"context"
	"net"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// ListenConfig opens connections as net.ListenConfig does.
type ListenConfig struct {
	Provider *wsk.ProviderNPI
	Options  Options
}

// ListenPacket is [Listen] for an address in the form that net.ListenConfig.ListenPacket takes, such as ":53" or
// "[::1]:domain". A host name is looked up with net.DefaultResolver. If ctx ends first the opening ends too; a
// connection that is open does not depend on ctx. The net.PacketConn is a *Conn.
func (lc *ListenConfig) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	laddr, err := resolve(ctx, network, address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	c, err := listen(ctx, lc.Provider, network, laddr, lc.Options)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Dialer opens connections as net.Dialer does.
type Dialer struct {
	Provider *wsk.ProviderNPI
	Options  Options
	// LocalAddr is the local address; the zero value leaves it open.
	LocalAddr netip.AddrPort
}

// DialContext is [Dial] for an address in the form that net.Dialer.DialContext takes. A host name is looked up with
// net.DefaultResolver, and its first address for the network is taken. The net.Conn is a *Conn.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	raddr, err := resolve(ctx, network, address)
	if err == nil && address == "" {
		err = errMissingAddress
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Source: opAddr(d.LocalAddr), Err: err}
	}
	if !raddr.Addr().IsValid() {
		raddr = netip.AddrPortFrom(anyOf(network), raddr.Port())
	}
	c, err := dial(ctx, d.Provider, network, d.LocalAddr, raddr, d.Options)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// anyOf is the host itself for an address without a host, such as ":53".
func anyOf(network string) netip.Addr {
	if network == "udp6" {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// resolve parses host:port. If there is no host the address is the zero Addr.
func resolve(ctx context.Context, network, address string) (netip.AddrPort, error) {
	switch network {
	case "udp", "udp4", "udp6":
	default:
		return netip.AddrPort{}, net.UnknownNetworkError(network)
	}
	if address == "" {
		return netip.AddrPort{}, nil
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, network, service)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "" {
		return netip.AddrPortFrom(netip.Addr{}, uint16(port)), nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(addr, uint16(port)), nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip"+network[len("udp"):], host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for _, addr := range addrs { // package net prefers IPv4 where it takes a single address
		if addr.Unmap().Is4() || network == "udp6" {
			return netip.AddrPortFrom(addr, uint16(port)), nil
		}
	}
	return netip.AddrPortFrom(addrs[0], uint16(port)), nil
}
