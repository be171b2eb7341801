// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
)

// All of many routes are there when the call returns, of either family.
func TestAddRoutes(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{})
	h, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	for family, prefix := range map[int]func(int) netip.Prefix{
		netlink.FAMILY_V4: func(i int) netip.Prefix {
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 128, byte(i >> 8), byte(i)}), 32)
		},
		netlink.FAMILY_V6: func(i int) netip.Prefix {
			return netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0x20, byte(i >> 8), byte(i)}), 48)
		},
	} {
		gateway := lab.B.IPv4()
		if family == netlink.FAMILY_V6 {
			gateway = lab.B.IPv6()
		}
		before, err := h.RouteList(nil, family)
		if err != nil {
			t.Fatal(err)
		}
		const routes = 1000
		for _, n := range []int{0, 1, routes} {
			first := n
			if err := lab.A.If.AddRoutes(n, func(i int) netip.Prefix { return prefix(first*4 + i) }, gateway); err != nil {
				t.Fatal(err)
			}
		}
		after, err := h.RouteList(nil, family)
		if err != nil || len(after) != len(before)+1+routes {
			t.Errorf("%d routes, before %d: %v", len(after), len(before), err)
		}
	}
	if err := lab.A.If.AddRoutes(1, func(int) netip.Prefix { return netip.MustParsePrefix("10.128.0.4/32") }, lab.B.IPv4()); err == nil {
		t.Error("no error for a route that is there")
	}
}
