// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/gaissmai/bart"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
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
		"all but a port":       {dports: portRange{first: 53, last: 53}, inverted: true},
		"a port":               {dports: portRange{first: 53, last: 53}},
		"a mark":               {mark: 7, markMask: 255},
		"ports by a mask":      {dports: portRange{first: 0x21, last: 0x21, mask: 0xf0}}, // 32 to 47
		"all but those":        {dports: portRange{first: 0x31, last: 0x31, mask: 0xff}, inverted: true},
		"a port of the source": {sports: portRange{first: 99, last: 99}},
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
					if got, same := lookup(p, to, port); got != want || same != ask {
						t.Errorf("%s, %+v: %+v, %v, by a plan %+v, %v", name, q, want, ask, got, same)
					}
				}
			}
		}
	}
}

// lookup asks a plan.
func lookup(p *Plan, dst netip.Addr, port uint16) (Result, Reason) {
	to := dst.As16()
	return p.Lookup(&to, port)
}

// TestBlocks: what a plan remembers of ranges of destinations is what the tables say of each, next to every border of every prefix, to
// the host's own addresses and to what has been learned, and the next snapshot begins anew.
func TestBlocks(t *testing.T) {
	rnd := testenv.Rand(t)
	for _, six := range []bool{false, true} {
		for range 60 {
			m := plainModel(0, six)
			borders := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}
			for i := range 1 + rnd.IntN(40) {
				body, p := someRoute(rnd, i, six)
				m.apply(unix.RTM_NEWROUTE, 0, body)
				borders = append(borders, p.Addr(), lastOf(p))
			}
			s := m.snapshot()
			if rnd.IntN(2) == 0 {
				s.exceptions = new(bart.Lite)
				for range 1 + rnd.IntN(3) {
					a := near(rnd, borders[rnd.IntN(len(borders))])
					s.exceptions.Insert(netip.PrefixFrom(a, a.BitLen()))
					borders = append(borders, a)
				}
			}
			base := Query{Interface: pick(rnd, 0, 0, 0, 2)}
			if rnd.IntN(3) == 0 {
				base.Src = netip.MustParseAddr(map[bool]string{false: "10.0.0.1", true: "fd00::1"}[six])
			}
			p := s.Prepare(base, six)
			if p != s.Prepare(base, six) {
				t.Fatal("who asks for the same gets another plan")
			}
			for range 2000 {
				dst := near(rnd, borders[rnd.IntN(len(borders))])
				if dst.Is4() == six {
					continue
				}
				q := base
				q.Dst = dst
				want, ask := s.Lookup(&q)
				got, same := lookup(p, dst, 0)
				if got != want || same != ask {
					t.Fatalf("%v of %+v: %+v, %v, by a plan %+v, %v", dst, base, want, ask, got, same)
				}
				if ask == Answered && isOrdinary(dst) {
					p.learn(dst, got)
				}
			}
			if next := s.again(); next.Prepare(base, six) == p {
				t.Fatal("the next snapshot has the plan of the one before")
			}
		}
	}
}

// someRoute is a route number i with a prefix of any length, some of which lie in others; most lead to a gateway.
func someRoute(rnd *rand.Rand, i int, six bool) (wire, netip.Prefix) {
	a := netip.AddrFrom4([4]byte{byte(10 + rnd.IntN(3)), byte(rnd.IntN(2)), byte(rnd.IntN(3)), byte(rnd.Uint32())})
	gateway := netip.AddrFrom4([4]byte{10, 0, 0, byte(2 + i%5)})
	if six {
		a = netip.AddrFrom16([16]byte{0xfd, byte(rnd.IntN(2)), 0, byte(rnd.IntN(3)), 7: byte(rnd.IntN(2)), 15: byte(rnd.Uint32())})
		gateway = netip.AddrFrom16([16]byte{0xfd, 15: byte(2 + i%5)})
	}
	p := netip.PrefixFrom(a, rnd.IntN(a.BitLen()+1)).Masked()
	typ := pick(rnd, uint8(unix.RTN_UNICAST), unix.RTN_UNICAST, unix.RTN_UNICAST, unix.RTN_UNICAST, unix.RTN_UNREACHABLE, unix.RTN_THROW)
	table := pick(rnd, uint8(unix.RT_TABLE_MAIN), unix.RT_TABLE_MAIN, unix.RT_TABLE_DEFAULT)
	body := wire{familyOf(six), uint8(p.Bits()), 0, 0, table, unix.RTPROT_STATIC, 0, typ}.u32(0).addr(unix.RTA_DST, p.Addr())
	if !isError(typ) {
		body = body.attr32(unix.RTA_OIF, 2).addr(unix.RTA_GATEWAY, gateway)
	}
	return body, p
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// near is an address, or one beside it, or one that differs from it in a bit.
func near(rnd *rand.Rand, a netip.Addr) netip.Addr {
	switch b := a.AsSlice(); rnd.IntN(4) {
	case 0:
		if a.Next().IsValid() {
			return a.Next()
		}
	case 1:
		if a.Prev().IsValid() {
			return a.Prev()
		}
	case 2:
		i := rnd.IntN(8 * len(b))
		b[i/8] ^= 1 << (i % 8)
		a, _ = netip.AddrFromSlice(b)
	}
	return a
}
