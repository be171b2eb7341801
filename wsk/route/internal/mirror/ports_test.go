// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestRulesByPorts has rules for ports, ranges of ports and, where the kernel has them (Linux 6.15), ports under a mask: to each port the
// mirror and the kernel lead alike, and the mirror asks about none.
func TestRulesByPorts(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	for _, c := range []struct{ first, last, mask uint16 }{
		{0x1234, 0x1234, 0}, {0x1234, 0x1300, 0}, {0x1234, 0x1234, 0xffff}, {0x1000, 0x1000, 0xf000}, {0x1004, 0x1004, 0x1004},
	} {
		for name, six := range map[string]bool{"IPv4": false, "IPv6": true} {
			for _, inverted := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %x-%x under %x, inverted %v", name, c.first, c.last, c.mask, inverted), func(t *testing.T) {
					r := portRange{c.first, c.last, c.mask}
					byPorts(t, six, inverted, unix.FRA_SPORT_RANGE, fraSportMask, r, func(q *Query) *uint16 { return &q.SrcPort })
					byPorts(t, six, inverted, unix.FRA_DPORT_RANGE, fraDportMask, r, func(q *Query) *uint16 { return &q.DstPort })
				})
			}
		}
	}
}

func byPorts(t *testing.T, six, inverted bool, between, under uint16, r portRange, port func(*Query) *uint16) {
	w := newWorld(t, testenv.Rand(t))
	dst, host := netip.MustParsePrefix("192.0.2.0/24"), w.host4
	if six {
		dst, host = netip.MustParsePrefix("2001:db8::/64"), w.host6
	}
	must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, w.to(dst, unix.RT_TABLE_MAIN, 0, host(0, 0, 8)), nil))
	must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, w.to(dst, 100, 0, host(0, 0, 9)), nil))
	flags := uint32(0)
	if inverted {
		flags = fibRuleInvert
	}
	rule := wire{familyOf(six), 0, 0, 0, 0, 0, 0, unix.FR_ACT_TO_TBL}.u32(flags).attr32(unix.FRA_PRIORITY, 100).attr32(unix.FRA_TABLE, 100)
	rule = rule.attr(between, binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, r.first), r.last))
	if r.mask != 0 {
		rule = rule.attr(under, binary.NativeEndian.AppendUint16(nil, r.mask))
	}
	must(t, w.talk.do(unix.RTM_NEWRULE, unix.NLM_F_CREATE, rule, nil))
	m := openIn(t, w.near, Options{ReceiveBuffer: 1 << 20, LearnedEvery: time.Hour})
	testenv.Eventually(t, patience, "a picture of the kernel's routing", func() bool {
		_, ask := m.Snapshot().Lookup(&Query{Dst: dst.Addr().Next()})
		return ask != NotReady && ask != Doubtful
	})
	s, gateways := m.Snapshot(), map[netip.Addr]bool{}
	for _, p := range []uint16{0, 1, 0x0fff, 0x1000, 0x1004, 0x1233, 0x1234, 0x1235, 0x1300, 0x1301, 0x1fff, 0x2000, 0x9234, 0xffff} {
		q := Query{Dst: dst.Addr().Next()}
		*port(&q) = p
		v := w.talk.ask(&q)
		gateways[v.gateway] = true
		got, ask := s.Lookup(&q)
		if ask != Answered || disagreement(got, v) != "" {
			t.Errorf("port %x: %+v, %v; the kernel: %+v", p, got.Hop, ask, v)
		}
		if wrong := unplanned(s, &q, t); wrong != "" {
			t.Error(wrong)
		}
	}
	if len(gateways) != 2 {
		t.Errorf("the test does not test: %v", gateways)
	}
}
