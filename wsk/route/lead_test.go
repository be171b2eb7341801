// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// lead asks once.
func lead(table *Table, q Query) Lead {
	l, _, _ := table.Leads(q)(octets(q.Dst), q.DstPort)
	return l
}

func octets(a netip.Addr) *[16]byte {
	b := a.As16()
	return &b
}

// Destinations behind one gateway have one Lead, whichever route leads there; and what an answer rests on besides its own route
// outlives that.
func TestLead(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	h := handle(t, lab.A.NS)
	table := open(t, lab, Options{Mirror: true})
	settle(t, lab, table)
	gateways := map[bool]netip.Addr{true: lab.B.IPv4(), false: lab.B.IPv6()}
	index := lab.A.If.Index()
	add := func(dst string, mtu int) {
		t.Helper()
		p := netip.MustParsePrefix(dst)
		must(t, h.RouteAdd(&netlink.Route{LinkIndex: index, Dst: ipNet(dst), Gw: gateways[p.Addr().Is4()].AsSlice(), MTU: mtu}))
	}
	for _, family := range []struct{ wide, other, first, second, third, narrow string }{
		{"198.51.100.0/24", "203.0.113.0/24", "198.51.100.1", "198.51.100.200", "203.0.113.7", "198.51.100.0/30"},
		{"2001:db8:1::/48", "2001:db8:2::/48", "2001:db8:1::1", "2001:db8:1::abcd", "2001:db8:2::7", "2001:db8:1::/126"},
	} {
		add(family.wide, 0)
		add(family.other, 0)
		first, second, third := Query{Dst: addr(family.first)}, Query{Dst: addr(family.second)}, Query{Dst: addr(family.third)}
		lead := func(q Query) Lead { return lead(table, q) }
		testenv.Eventually(t, patience, "both routes in the mirror", func() bool {
			return lead(first).IsValid() && lead(third).IsValid()
		})
		if l := lead(first); l != lead(second) || l != lead(third) {
			t.Errorf("%v: %+v, %+v, %+v", family.wide, l, lead(second), lead(third))
		}
		var on Standing
		hop, err := table.ResolveStanding(t.Context(), first, &on)
		if err != nil || table.LeadOf(&on) != lead(second) || hop.Gateway != gateways[first.Dst.Is4()] {
			t.Fatalf("%+v, %v, lead %+v", hop, err, table.LeadOf(&on))
		}
		leads, to := table.Leads(first), octets(second.Dst)
		if n := testing.AllocsPerRun(100, func() { leads(to, 7); table.StandsAside(&on) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
		_, before, _ := table.Leads(first)(to, 7)
		add(family.narrow, 1400)
		testenv.Eventually(t, patience, "the answer to end with its route", func() bool { return !table.Stands(&on) })
		if !table.StandsAside(&on) {
			t.Error("what others have of the answer has ended with its route")
		}
		if l, at, _ := table.Leads(first)(to, 7); l != table.LeadOf(&on) || at == before {
			t.Errorf("%+v in snapshot %d, before in %d", l, at, before)
		}
		if l := lead(first); !l.IsValid() || l == table.LeadOf(&on) {
			t.Errorf("by a route with another MTU: %+v", l)
		}
		mac := net.HardwareAddr{2, 0, 0, 0, 0x77, 1}
		gateway := gateways[first.Dst.Is4()]
		if _, err := table.Neighbour(t.Context(), index, gateway); err != nil {
			t.Fatal(err)
		}
		must(t, h.NeighSet(&netlink.Neigh{LinkIndex: index, IP: gateway.AsSlice(), HardwareAddr: mac, State: netlink.NUD_PERMANENT}))
		testenv.Eventually(t, patience, "the end with the gateway's MAC", func() bool { return !table.StandsAside(&on) })
	}
	leads := table.Leads(Query{Dst: addr("198.51.100.1"), Src: lab.A.IPv4()})
	extra := netip.MustParsePrefix("10.79.0.1/24")
	must(t, lab.A.If.AddAddr(extra))
	testenv.Eventually(t, patience, "what was prepared to be out of date", func() bool {
		_, _, current := leads(octets(addr("198.51.100.1")), 7)
		return !current
	})
	// No gateway, no neighbour that is one for many.
	if l := lead(table, Query{Dst: addr("10.77.0.99")}); l.IsValid() {
		t.Errorf("on the link: %+v", l)
	}
	if l := lead(table, Query{Dst: lab.A.IPv4()}); l.IsValid() {
		t.Errorf("to the host itself: %+v", l)
	}
	if l := lead(open(t, lab, Options{}), Query{Dst: addr("198.51.100.1")}); l.IsValid() {
		t.Errorf("without a mirror: %+v", l)
	}
}

// TestLeadsOfTheRefused: what is prepared for a destination that is itself refused leads all others.
func TestLeadsOfTheRefused(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	h := handle(t, lab.A.NS)
	table := open(t, lab, Options{Mirror: true})
	must(t, h.RouteAdd(&netlink.Route{LinkIndex: lab.A.If.Index(), Dst: ipNet("198.51.100.0/24"), Gw: lab.B.IPv4().AsSlice()}))
	must(t, h.RouteAdd(&netlink.Route{LinkIndex: lab.A.If.Index(), Dst: ipNet("2001:db8:1::/48"), Gw: lab.B.IPv6().AsSlice()}))
	settle(t, lab, table)
	for _, c := range []struct{ refused, other string }{
		{"fe80::1", "2001:db8:1::1"}, {"::", "2001:db8:1::1"}, {"ff02::1", "2001:db8:1::1"}, {"0.0.0.0", "198.51.100.1"},
	} {
		var l, of Lead
		testenv.Eventually(t, patience, "a lead", func() bool {
			of = lead(table, Query{Dst: addr(c.other)})
			return of.IsValid()
		})
		leads := table.Leads(Query{Dst: addr(c.refused)})
		l, _, _ = leads(octets(addr(c.other)), 9)
		if l != of {
			t.Errorf("%s, prepared for %s: %+v, want %+v", c.other, c.refused, l, of)
		}
		if l, _, _ := leads(octets(addr(c.refused)), 9); l.IsValid() {
			t.Errorf("%s itself: %+v", c.refused, l)
		}
	}
}

func TestFlowLabelAllocatesNothing(t *testing.T) {
	table := open(t, newLab(t, testenv.Topology{}), Options{})
	src, dst := netip.MustParseAddrPort("[fd77::1%9]:1"), netip.MustParseAddrPort("[fd77::2]:2")
	if n := testing.AllocsPerRun(100, func() { table.FlowLabel(src, dst) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
