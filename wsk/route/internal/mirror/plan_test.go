// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPlan: with rules that look at what a plan leaves open, or at what it has decided, it answers as single queries are answered.
func TestPlan(t *testing.T) {
	dst := netip.MustParseAddr("20.0.1.9")
	table := func(r rule) rule {
		r.priority, r.action, r.suppress = 1, unix.FR_ACT_TO_TBL, -1
		if r.table == 0 {
			r.table = 77
		}
		return r
	}
	other := wire{unix.AF_INET, 24, 0, 0, 77, unix.RTPROT_STATIC, 0, unix.RTN_UNICAST}.u32(0).
		addr(unix.RTA_DST, netip.MustParseAddr("20.0.1.0")).attr32(unix.RTA_OIF, 2).addr(unix.RTA_GATEWAY, netip.MustParseAddr("10.0.0.200"))
	for name, r := range map[string]rule{
		"everything":           {},
		"a destination":        {dst: netip.MustParsePrefix("20.0.1.0/24")},
		"another destination":  {dst: netip.MustParsePrefix("20.0.2.0/24")},
		"all but a port":       {dports: portRange{53, 53}, inverted: true},
		"a port":               {dports: portRange{53, 53}},
		"a mark":               {mark: 7, markMask: 255},
		"a port of the source": {sports: portRange{99, 99}},
		"something unknown":    {foreign: true},
		"the table of locals":  {table: unix.RT_TABLE_LOCAL},
		"no rule of its own":   {table: unix.RT_TABLE_LOCAL},
	} {
		m := plainModel(100, false)
		if name != "no rule of its own" { // whose table of locals alone may be one with the main table
			m.rules[0] = append([]rule{m.rules[0][0], table(r)}, m.rules[0][1:]...)
		}
		m.apply(unix.RTM_NEWROUTE, 0, other)
		moved := append(wire(nil), other...)
		moved[4] = unix.RT_TABLE_LOCAL
		if r.table == unix.RT_TABLE_LOCAL {
			m.apply(unix.RTM_NEWROUTE, 0, moved)
		}
		s := m.snapshot()
		for _, base := range []Query{{}, {Mark: 7}, {SrcPort: 99}, {Interface: 2}, {Interface: 3}, {TOS: 16}} {
			p := s.Prepare(base, false)
			for _, port := range []uint16{53, 54} {
				for _, to := range []netip.Addr{dst, netip.MustParseAddr("20.0.2.9"), netip.MustParseAddr("240.0.0.1"), netip.MustParseAddr("10.0.0.1")} {
					q := base
					q.Dst, q.DstPort = to, port
					want, ask := s.Lookup(&q)
					if got, same := p.Lookup(to, port); got != want || same != ask {
						t.Errorf("%s, %+v: %+v, %v, by a plan %+v, %v", name, q, want, ask, got, same)
					}
				}
			}
		}
	}
}
