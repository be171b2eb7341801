// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

func (l *Lab) connectRouter() error {
	t, r := l.Topology, l.Router
	forwarding := []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"}
	if t.NoIPv6 {
		forwarding = forwarding[:1]
	}
	for _, key := range forwarding {
		if err := r.NS.Sysctl(key, "1"); err != nil {
			return err
		}
	}
	near := End{Name: "ra", MAC: defaultMACs["RA"], TX: 1, RX: t.A.TX}
	far := End{Name: "rb", MAC: defaultMACs["RB"], TX: 1, RX: t.B.TX}
	var err error
	if l.A.If, r.A, err = newVeth(l.A.NS, t.A, indexA, r.NS, near, t.MTU); err != nil {
		return err
	}
	r.B, l.B.If, err = newVeth(r.NS, far, indexRB, l.B.NS, t.B, t.FarMTU)
	return err
}

// Gateway returns the router's address on the side of h and of the family of dst; the zero Addr without a router.
func (l *Lab) Gateway(h *Host, dst netip.Addr) netip.Addr {
	if l.Router == nil {
		return netip.Addr{}
	}
	list := routerAddrsA
	if h == l.B {
		list = routerAddrsB
	}
	if dst.Is4() {
		return list[0].Addr()
	}
	return list[1].Addr()
}

func (l *Lab) addDefaultRoutes() error {
	for _, h := range []*Host{l.A, l.B} {
		for _, ip := range []netip.Addr{h.IPv4(), h.IPv6()} {
			if !ip.IsValid() {
				continue
			}
			if err := h.If.AddRoute(netip.Prefix{}, l.Gateway(h, ip)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Lab) addStaticNeighbours() error {
	enter := func(at *Iface, addrs []netip.Prefix, mac net.HardwareAddr) error {
		for _, p := range addrs {
			if l.Topology.NoIPv6 && p.Addr().Is6() {
				continue
			}
			if err := at.SetNeighbour(p.Addr(), mac); err != nil {
				return err
			}
		}
		return nil
	}
	type pair struct {
		x, y           *Iface
		xAddrs, yAddrs []netip.Prefix
	}
	pairs := []pair{{l.A.If, l.B.If, l.A.Addrs, l.B.Addrs}}
	if r := l.Router; r != nil {
		pairs = []pair{{l.A.If, r.A, l.A.Addrs, routerAddrsA}, {r.B, l.B.If, routerAddrsB, l.B.Addrs}}
	}
	for _, p := range pairs {
		if err := enter(p.x, p.yAddrs, p.y.MAC()); err != nil {
			return err
		}
		if err := enter(p.y, p.xAddrs, p.x.MAC()); err != nil {
			return err
		}
	}
	return nil
}

// AddRoute adds a route through the interface; the zero Prefix is the default route of the gateway's family. A zero
// gateway makes the destination on-link.
func (i *Iface) AddRoute(dst netip.Prefix, gateway netip.Addr) error {
	return i.changeRoute("add", (*netlink.Handle).RouteAdd, dst, gateway)
}

// DeleteRoute removes a route that AddRoute added.
func (i *Iface) DeleteRoute(dst netip.Prefix, gateway netip.Addr) error {
	return i.changeRoute("delete", (*netlink.Handle).RouteDel, dst, gateway)
}

func (i *Iface) changeRoute(
	verb string, change func(*netlink.Handle, *netlink.Route) error, dst netip.Prefix, gateway netip.Addr,
) error {
	h, err := i.ns.Netlink()
	if err != nil {
		return err
	}
	route := &netlink.Route{LinkIndex: i.Index()}
	if dst.IsValid() {
		route.Dst = ipNet(dst.Masked())
	}
	if gateway.IsValid() {
		route.Gw = gateway.AsSlice()
	}
	if err := change(h, route); err != nil {
		return fmt.Errorf("%s route %v via %v on %s: %w", verb, dst, gateway, i.name, err)
	}
	return nil
}
