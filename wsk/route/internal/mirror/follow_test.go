// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

const patience = time.Minute

// TestLostEvents floods a mirror with more events than its queue takes: it answers nothing that may be wrong, and is
// right again.
func TestLostEvents(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	w := newWorld(t, testenv.Rand(t))
	var m atomic.Pointer[Mirror]
	var lost atomic.Bool
	m.Store(openIn(t, w.near, Options{
		ReceiveBuffer: 1, LearnedEvery: time.Hour, // the kernel makes the queue a few kilobytes
		Changed: func(bool) {
			if now := m.Load(); now != nil && now.Snapshot().ask == NotReady {
				lost.Store(true)
			}
		},
	}))
	gateway := w.host4(0, 0, 9)
	q := Query{Dst: netip.MustParseAddr("192.0.2.1")}
	route := func(bits int, via netip.Addr) wire {
		p := netip.PrefixFrom(q.Dst, bits).Masked()
		body := wire{unix.AF_INET, uint8(bits), 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, 0, unix.RTN_UNICAST}.u32(0)
		return body.addr(unix.RTA_DST, p.Addr()).addr(unix.RTA_GATEWAY, via)
	}
	must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, route(24, gateway), nil))
	answer := func() netip.Addr {
		r, ask := m.Load().Snapshot().Lookup(&q)
		if ask != Answered {
			return netip.Addr{}
		}
		return r.Hop.Gateway
	}
	testenv.Eventually(t, patience, "the first answer", func() bool { return answer() == gateway })
	send := func(b []byte) {
		must(t, unix.Sendto(w.talk.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	}
	testenv.Eventually(t, patience, "a loss", func() bool {
		var flood []byte
		for i := range 300 {
			typ := unix.RTM_NEWROUTE + uint16(i%2) // add, delete, add …
			flood = w.talk.request(flood, typ, unix.NLM_F_CREATE, route(32, w.host4(0, 0, 8)))
		}
		send(flood)
		return lost.Load()
	})
	var last []byte
	last = w.talk.request(last, unix.RTM_DELROUTE, 0, route(24, gateway))
	send(w.talk.request(last, unix.RTM_NEWROUTE, unix.NLM_F_CREATE, route(25, w.host4(0, 0, 7))))
	testenv.Eventually(t, patience, "the last answer", func() bool { return answer() == w.host4(0, 0, 7) })
}

// TestLearned has the kernel learn a path MTU: the destination is left to it as soon as somebody says so, or the table
// is read again.
func TestLearned(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	for name, told := range map[string]bool{"told": true, "read": false} {
		t.Run(name, func(t *testing.T) {
			lab := testenv.NewLabT(t, testenv.Topology{Shape: testenv.Routed, FarMTU: 1300})
			every := 20 * time.Millisecond
			if told {
				every = time.Hour
			}
			var open atomic.Pointer[Mirror]
			var heard atomic.Bool
			m := openIn(t, lab.A.NS, Options{ReceiveBuffer: 1 << 20, LearnedEvery: every, Learned: func() {
				if m := open.Load(); m != nil {
					m.Distrust(netip.MustParseAddr("192.0.2.1")) // whoever hears of it may use the mirror
					heard.Store(true)
				}
			}})
			open.Store(m)
			for _, dst := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
				q := Query{Dst: dst, Src: lab.A.IPv4()}
				if dst.Is6() {
					q.Src = lab.A.IPv6()
				}
				ask := func() Reason { _, ask := m.Snapshot().Lookup(&q); return ask }
				testenv.Eventually(t, patience, "an answer", func() bool { return ask() == Answered })
				learnPathMTU(t, lab.A.NS, dst)
				if told {
					m.Distrust(dst)
					if ask() != Exception {
						t.Errorf("%v: %v", dst, ask())
					}
				}
				testenv.Eventually(t, patience, "the kernel to be asked", func() bool { return ask() == Exception })
			}
			if !told {
				testenv.Eventually(t, patience/4, "to be told of it", heard.Load)
			}
		})
	}
}

// learnPathMTU sends what is too big for a hop further on, with DF, until the kernel knows it.
func learnPathMTU(t *testing.T, ns *testenv.Namespace, dst netip.Addr) {
	t.Helper()
	family, level, option := unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: 9, Addr: dst.As16()}
	if dst.Is4() {
		family, level, option = unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER
		to = &unix.SockaddrInet4{Port: 9, Addr: dst.As4()}
	}
	fd, err := ns.Socket(family, unix.SOCK_DGRAM, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, errors.Join(unix.SetsockoptInt(fd, level, option, unix.IP_PMTUDISC_DO), unix.Connect(fd, to)))
	testenv.Eventually(t, patience, "the path MTU", func() bool {
		return errors.Is(unix.Sendto(fd, make([]byte, 1400), 0, nil), unix.EMSGSIZE)
	})
}

// TestRulesFollowNames renames a device: a rule that names it matches no more, and again when it has its name back. No
// other event tells the mirror to answer anew.
func TestRulesFollowNames(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	w := newWorld(t, testenv.Rand(t))
	dst := netip.MustParsePrefix("192.0.2.0/24")
	usual, ruled := w.host4(0, 0, 8), w.host4(0, 0, 9)
	must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, w.to(dst, unix.RT_TABLE_MAIN, 0, usual), nil))
	must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, w.to(dst, 100, 0, ruled), nil))
	rule := wire{unix.AF_INET, 0, 0, 0, 0, 0, 0, unix.FR_ACT_TO_TBL}.u32(0).attr32(unix.FRA_PRIORITY, 100)
	rule = rule.attr32(unix.FRA_TABLE, 100).str(unix.FRA_OIFNAME, w.name(0))
	must(t, w.talk.do(unix.RTM_NEWRULE, unix.NLM_F_CREATE, rule, nil))
	m := openIn(t, w.near, Options{ReceiveBuffer: 1 << 20, LearnedEvery: time.Hour})
	q := Query{Dst: dst.Addr().Next(), Interface: w.index[0]}
	leads := func(to netip.Addr) {
		t.Helper()
		if v := w.talk.ask(&q); v.gateway != to {
			t.Fatalf("the kernel says %+v, not %v", v, to)
		}
		testenv.Eventually(t, patience/4, "the mirror to agree with the kernel", func() bool {
			r, ask := m.Snapshot().Lookup(&q)
			return ask == Answered && r.Hop.Gateway == to
		})
	}
	l, err := w.linkOf(0)
	must(t, err)
	leads(ruled)
	if err := w.h.LinkSetName(l, "other"); errors.Is(err, unix.EBUSY) {
		t.Skip("this kernel renames no device that is up")
	} else if err != nil {
		t.Fatal(err)
	}
	leads(usual)
	must(t, w.h.LinkSetName(l, w.name(0)))
	leads(ruled)
}

// TestRulesWithoutSource has rules for ranges of sources to which 0.0.0.0 and :: belong: IPv4 takes a datagram without a
// source for one from 0.0.0.0, IPv6 does not.
func TestRulesWithoutSource(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	for name, six := range map[string]bool{"IPv4": false, "IPv6": true} {
		for _, inverted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, inverted %v", name, inverted), func(t *testing.T) {
				w := newWorld(t, testenv.Rand(t))
				dst, host := netip.MustParsePrefix("192.0.2.0/24"), w.host4
				if six {
					dst, host = netip.MustParsePrefix("2001:db8::/64"), w.host6
				}
				usual, ruled := host(0, 0, 8), host(0, 0, 9)
				must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, w.to(dst, unix.RT_TABLE_MAIN, 0, usual), nil))
				must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, w.to(dst, 100, 0, ruled), nil))
				flags := uint32(0)
				if inverted {
					flags = fibRuleInvert
				}
				rule := wire{familyOf(six), 0, 1, 0, 0, 0, 0, unix.FR_ACT_TO_TBL}.u32(flags).attr32(unix.FRA_PRIORITY, 100)
				rule = rule.attr32(unix.FRA_TABLE, 100).addr(unix.FRA_SRC, anyAddress(six))
				must(t, w.talk.do(unix.RTM_NEWRULE, unix.NLM_F_CREATE, rule, nil))
				m := openIn(t, w.near, Options{ReceiveBuffer: 1 << 20, LearnedEvery: time.Hour})
				q := Query{Dst: dst.Addr().Next()}
				testenv.Eventually(t, patience, "an answer", func() bool {
					_, ask := m.Snapshot().Lookup(&q)
					return ask == Answered
				})
				for _, src := range []netip.Addr{{}, host(0, 0, 1)} {
					q.Src = src
					got, ask := m.Snapshot().Lookup(&q)
					v := w.talk.ask(&q)
					if ask != Answered || disagreement(got, v) != "" {
						t.Errorf("from %v: %+v, %v; the kernel: %+v", src, got.Hop, ask, v)
					}
					if to := v.gateway; to != usual && to != ruled {
						t.Errorf("from %v: the kernel says %+v", src, v)
					}
				}
			})
		}
	}
}
