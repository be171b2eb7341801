// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// vectors are messages as the kernel sends them.
func vectors() map[string]struct {
	typ  uint16
	body []byte
} {
	type v = struct {
		typ  uint16
		body []byte
	}
	four, six := netip.MustParseAddr("10.9.0.0"), netip.MustParseAddr("fd09::")
	route4 := func(typ uint8, flags uint32) wire {
		return wire{unix.AF_INET, 16, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, 0, typ}.u32(flags).addr(unix.RTA_DST, four)
	}
	route6 := wire{unix.AF_INET6, 32, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_RA, 0, unix.RTN_UNICAST}.u32(0).addr(unix.RTA_DST, six)
	leg := wire{8, 0, 0, 0, 3, 0, 0, 0}
	legs := append(append(wire{16, 0, 0, 0}.u32(2), wire(nil).addr(unix.RTA_GATEWAY, netip.MustParseAddr("10.1.0.9"))...), leg...)
	link := func(flags uint32) wire {
		return wire{0, 0, 1, 0}.u32(2).u32(flags).u32(0).str(unix.IFLA_IFNAME, "d0").attr32(unix.IFLA_MTU, 1500)
	}
	return map[string]v{
		"device":    {unix.RTM_NEWLINK, link(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP)},
		"down":      {unix.RTM_NEWLINK, link(0)},
		"gone":      {unix.RTM_DELLINK, link(0)},
		"address":   {unix.RTM_NEWADDR, wire{unix.AF_INET, 24, 0, 0}.u32(2).addr(unix.IFA_LOCAL, netip.MustParseAddr("10.1.0.1"))},
		"noaddress": {unix.RTM_DELADDR, wire{unix.AF_INET, 24, 0, 0}.u32(2).addr(unix.IFA_LOCAL, netip.MustParseAddr("10.1.0.1"))},
		"via":       {unix.RTM_NEWROUTE, route4(unix.RTN_UNICAST, 0).attr32(unix.RTA_OIF, 2).addr(unix.RTA_GATEWAY, netip.MustParseAddr("10.1.0.9"))},
		"multipath": {unix.RTM_NEWROUTE, route4(unix.RTN_UNICAST, 0).attr(unix.RTA_MULTIPATH, legs)},
		"object":    {unix.RTM_NEWROUTE, route4(unix.RTN_UNICAST, 0).attr32(rtaNexthopID, 5)},
		"throw":     {unix.RTM_NEWROUTE, route4(unix.RTN_THROW, 0)},
		"learned":   {unix.RTM_NEWROUTE, route4(unix.RTN_UNICAST, unix.RTM_F_CLONED)},
		"six": {unix.RTM_NEWROUTE, route6.attr32(unix.RTA_OIF, 2).attr32(unix.RTA_PRIORITY, 7).
			attr(unix.RTA_METRICS, wire(nil).attr32(unix.RTAX_MTU, 1400)).attr(unix.RTA_CACHEINFO, wire(nil).u32(0).u32(0).u32(180000))},
		"no six":   {unix.RTM_DELROUTE, route6.attr32(unix.RTA_OIF, 2).attr32(unix.RTA_PRIORITY, 7)},
		"nexthop":  {unix.RTM_NEWNEXTHOP, wire{unix.AF_INET, 0, 0, 0}.u32(0).attr32(nhaID, 5).attr32(nhaOIF, 2)},
		"group":    {unix.RTM_NEWNEXTHOP, wire{0, 0, 0, 0}.u32(0).attr32(nhaID, 6).attr(nhaGroup, wire(nil).u32(5).u32(0))},
		"no group": {unix.RTM_DELNEXTHOP, wire{0, 0, 0, 0}.u32(0).attr32(nhaID, 6)},
		"neighbour": {unix.RTM_NEWNEIGH, wire{unix.AF_INET6, 0, 0, 0}.u32(2).u8(unix.NUD_FAILED, 0, 0, 0).
			addr(unix.NDA_DST, netip.MustParseAddr("fe80::1"))},
		"netconf": {unix.RTM_NEWNETCONF, wire{unix.AF_INET, 0, 0, 0}.attr32(netconfIndex, 2).attr32(netconfIgnoreLinkdown, 1)},
		"rule": {unix.RTM_NEWRULE, wire{unix.AF_INET, 8, 0, 0, 254, 0, 0, unix.FR_ACT_TO_TBL}.u32(0).
			addr(unix.FRA_DST, netip.MustParseAddr("10.0.0.0")).attr(unix.FRA_DPORT_RANGE, []byte{1, 0, 2, 0})},
	}
}

func TestParseRoute(t *testing.T) {
	var a announced
	v := vectors()
	for name, want := range map[string]key{
		"via":    {device: 2, gateway: netip.MustParseAddr("10.1.0.9")},
		"object": {object: 5},
		"throw":  {},
		"six":    {six: true, device: 2, mtu: 1400},
	} {
		ok := parseRoute(v[name].body, &a)
		a.key.rest = 0
		if !ok || a.key != want {
			t.Errorf("%s: %+v, want %+v", name, a.key, want)
		}
	}
	if parseRoute(v["learned"].body, &a); !a.cloned {
		t.Error("what the kernel has learned is taken for a route")
	}
	if !parseRoute(v["multipath"].body, &a) {
		t.Fatal("multipath: refused")
	}
	var legs []leg
	eachLeg(a.key.legs, func(l leg) { legs = append(legs, l) })
	if len(legs) != 2 || legs[0] != (leg{device: 2, gateway: netip.MustParseAddr("10.1.0.9")}) || legs[1] != (leg{device: 3}) {
		t.Errorf("multipath: %+v", legs)
	}
	for name, bad := range map[string][]byte{
		"prefix too long":    append(wire{unix.AF_INET, 33}, make([]byte, 10)...),
		"short":              {unix.AF_INET, 8},
		"foreign":            append(wire{unix.AF_PACKET, 8}, make([]byte, 10)...),
		"leg without an end": append(append(wire{}, v["throw"].body...), wire(nil).attr(unix.RTA_MULTIPATH, []byte{200, 0, 0, 0, 1, 0, 0, 0})...),
	} {
		if parseRoute(bad, &a) {
			t.Errorf("%s: taken: %+v", name, a)
		}
	}
}

// FuzzModel feeds messages to a model and asks its snapshots. Seeds are those of the kernel, one after the other.
func FuzzModel(f *testing.F) {
	for _, v := range vectors() {
		f.Add(v.typ, uint16(0), v.body, uint16(unix.RTM_NEWROUTE), uint16(unix.NLM_F_REPLACE), vectors()["via"].body)
	}
	f.Fuzz(func(t *testing.T, typ, flags uint16, body []byte, typ2, flags2 uint16, body2 []byte) {
		m := newModel()
		v := vectors()
		for _, name := range slices.Sorted(maps.Keys(v)) {
			m.apply(v[name].typ, 0, v[name].body)
		}
		for _, b := range [][]byte{body, body2} {
			if r, ok := parseRule(b); ok {
				m.rules[family46(b[0] == unix.AF_INET6)] = append(m.rules[family46(b[0] == unix.AF_INET6)], r)
			}
		}
		before := m.snapshot()
		m.apply(typ, flags, body)
		m.apply(typ2, flags2, body2)
		after := m.snapshot()
		for _, s := range []*Snapshot{before, after} {
			for _, dst := range []string{"10.9.0.1", "10.1.0.9", "fd09::1", "fe80::1", "::", "224.0.0.1"} {
				for _, device := range []int{0, 2} {
					got, ask := s.Lookup(&Query{Dst: netip.MustParseAddr(dst), Interface: device})
					if (ask == Answered) != (got.Hop != nil) || ask == Answered && (got.Hop.gone || !got.Source.IsValid()) {
						t.Errorf("%s: %+v, %v", dst, got, ask)
					}
				}
			}
		}
		checkCounts(t, m)
	})
}

// checkCounts holds the uses of leaves and hops against the tries.
func checkCounts(t *testing.T, m *model) {
	t.Helper()
	leaves, hops := map[*leaf]int{}, map[uint32]int{}
	for _, tables := range m.tables {
		for _, tb := range tables {
			for _, f := range tb.trie.All() {
				leaves[f]++
				for _, r := range f.routes {
					hops[r.hop]++
				}
			}
		}
	}
	for f, n := range leaves {
		if f.uses != n {
			t.Errorf("leaf %+v: %d uses, %d prefixes", f.routes, f.uses, n)
		}
	}
	for id, n := range m.hops.uses {
		if n != hops[uint32(id)] {
			t.Errorf("hop %d %+v: %d uses, %d prefixes", id, m.hops.keys[id], n, hops[uint32(id)])
		}
	}
	if kept := len(m.leaves.single) + len(m.leaves.long); kept != len(leaves) {
		t.Errorf("%d leaves kept, %d in use", kept, len(leaves))
	}
}
