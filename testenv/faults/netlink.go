// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// route enters a route to the address that both links lead to.
func (w *world) route(i *testenv.Iface, gateway netip.Addr, metric int) error {
	h, err := i.Namespace().Netlink()
	if err != nil {
		return err
	}
	r := &netlink.Route{LinkIndex: i.Index(), Dst: ipNet(shared), Gw: gateway.AsSlice(), Priority: metric}
	if err := h.RouteReplace(r); err != nil {
		return fmt.Errorf("route %v via %v: %w", shared, gateway, err)
	}
	return nil
}

// prohibit enters a route of a kind that forbids, for a prefix, or takes it away.
func prohibit(i *testenv.Iface, dst netip.Prefix, kind int, on bool) error {
	h, err := i.Namespace().Netlink()
	if err != nil {
		return err
	}
	r := &netlink.Route{Dst: ipNet(dst), Type: kind}
	if on {
		err = h.RouteReplace(r)
	} else {
		err = h.RouteDel(r)
	}
	if err != nil {
		return fmt.Errorf("route of kind %d to %v: %w", kind, dst, err)
	}
	return nil
}

// host is a prefix of one address.
func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// setStale makes a neighbour one that is to be asked for again.
func setStale(i *testenv.Iface, ip netip.Addr, mac net.HardwareAddr) error {
	h, err := i.Namespace().Netlink()
	if err != nil {
		return err
	}
	err = h.NeighSet(&netlink.Neigh{LinkIndex: i.Index(), Family: unix.AF_INET, State: unix.NUD_STALE, Type: unix.RTN_UNICAST,
		IP: ip.AsSlice(), HardwareAddr: mac})
	if err != nil {
		return fmt.Errorf("neighbour %v: %w", ip, err)
	}
	return nil
}

// unroute takes away what route has entered.
func (w *world) unroute(i *testenv.Iface, gateway netip.Addr, metric int) error {
	h, err := i.Namespace().Netlink()
	if err != nil {
		return err
	}
	r := &netlink.Route{LinkIndex: i.Index(), Dst: ipNet(shared), Gw: gateway.AsSlice(), Priority: metric}
	if err := h.RouteDel(r); err != nil {
		return fmt.Errorf("take route %v via %v away: %w", shared, gateway, err)
	}
	return nil
}

func routeVia(i *testenv.Iface, dst netip.Prefix, gateway netip.Addr) *netlink.Route {
	return &netlink.Route{LinkIndex: i.Index(), Dst: ipNet(dst), Gw: gateway.AsSlice()}
}
