// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// to is a route to a prefix by a gateway on a device.
func (w *world) to(p netip.Prefix, table uint32, device int, gateway netip.Addr) wire {
	body := wire{familyOf(p.Addr().Is6()), uint8(p.Bits()), 0, 0, 0, unix.RTPROT_STATIC, 0, unix.RTN_UNICAST}.u32(0)
	body = body.addr(unix.RTA_DST, p.Addr()).attr32(unix.RTA_TABLE, table)
	return body.attr32(unix.RTA_OIF, uint32(w.index[device])).addr(unix.RTA_GATEWAY, gateway)
}

// TestEventsDuringDump changes a route of IPv6 while those of IPv4 are read again: the old answer is not given any more,
// neither while the dump goes on nor by the first snapshot after it.
func TestEventsDuringDump(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	w := newWorld(t, testenv.Rand(t))
	dst := netip.MustParsePrefix("2001:db8::/64")
	before, after := w.host6(0, 0, 8), w.host6(0, 0, 9)
	must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, w.to(dst, unix.RT_TABLE_MAIN, 0, before), nil))
	// When the preferred source of a route goes, only a dump tells whether the route has gone with it.
	source := netip.PrefixFrom(w.host4(1, 1, 1), 24)
	must(t, w.address(1, source, 0))
	sourced := w.to(netip.MustParsePrefix("192.0.2.0/24"), 100, 1, w.host4(1, 0, 9)).addr(unix.RTA_PREFSRC, source.Addr())
	must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, sourced, nil))

	var m atomic.Pointer[Mirror]
	var armed, changed atomic.Bool
	q := Query{Dst: dst.Addr().Next()}
	answer := func() netip.Addr {
		r, ask := m.Load().Snapshot().Lookup(&q)
		if ask != Answered {
			return netip.Addr{}
		}
		return r.Hop.Gateway
	}
	outdated := func(when string) {
		if changed.Load() && answer() == before {
			t.Errorf("%s: a route is answered that has been replaced", when)
		}
	}
	var once sync.Once
	o := Options{ReceiveBuffer: 1 << 20, LearnedEvery: time.Hour}
	o.Changed = func(bool) { outdated("a new snapshot") }
	o.reading = func(table uint16) {
		if table != unix.RTM_GETROUTE || !armed.Load() {
			return
		}
		outdated("the next part of the dump")
		once.Do(func() {
			seen := m.Load().inbox.routes6.Load()
			must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_REPLACE|unix.NLM_F_CREATE, w.to(dst, unix.RT_TABLE_MAIN, 0, after), nil))
			testenv.Eventually(t, patience, "the event", func() bool { return m.Load().inbox.routes6.Load() > seen })
			changed.Store(true)
		})
	}
	m.Store(openIn(t, w.near, o))
	testenv.Eventually(t, patience, "the first answer", func() bool { return answer() == before })
	armed.Store(true)
	gone := wire{unix.AF_INET, uint8(source.Bits()), 0, 0}.u32(uint32(w.index[1])).addr(unix.IFA_LOCAL, source.Addr())
	must(t, newTalk(t, w.near).do(unix.RTM_DELADDR, 0, gone, nil))
	testenv.Eventually(t, patience, "the answer after the dump", func() bool { return answer() == after })
}

// TestTiesKeepTheirOrder replaces the first of two routes that differ in the device alone: which one that is a mirror
// knows from a dump, or from the events.
func TestTiesKeepTheirOrder(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	for name, late := range map[string]bool{"dumped": true, "announced": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, testenv.Rand(t))
			c := newCaughtUp(t, newTalk(t, w.near))
			var m *Mirror
			open := func(now bool) {
				if now {
					m = openIn(t, w.near, c.options())
					c.await()
				}
			}
			dst := netip.MustParsePrefix("192.0.2.0/24")
			via := func(device int, flags uint16) {
				t.Helper()
				body := w.to(dst, unix.RT_TABLE_MAIN, device, w.host4(device, 0, 9))
				must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|flags, body, nil))
			}
			open(!late)
			via(0, unix.NLM_F_EXCL)
			via(1, unix.NLM_F_APPEND)
			open(late)
			via(2, unix.NLM_F_REPLACE)
			c.await()
			for device := range 3 {
				q := Query{Dst: dst.Addr().Next(), Interface: w.index[device]}
				got, ask := m.Snapshot().Lookup(&q)
				v := w.talk.ask(&q)
				if ask == Answered && disagreement(got, v) != "" {
					t.Errorf("by device %d: %+v; %s", device, *got.Hop, disagreement(got, v))
				}
				if ask == NoRoute && v.err == nil && v.gateway.IsValid() {
					t.Errorf("by device %d: no route; the kernel has one by %v", device, v.gateway)
				}
			}
		})
	}
}

// TestLossesKeepThePause loses events again and again after a reading that has taken a minute, or failed: the next one
// begins when its pause is over, neither sooner nor later, and nobody is told twice that nothing is known.
func TestLossesKeepThePause(t *testing.T) {
	for name, c := range map[string]struct {
		after func(*follower)
		pause time.Duration
	}{
		"a long one": {func(f *follower) { f.rested(time.Now().Add(-time.Minute)) }, dumpPause * time.Minute},
		"a failed one": {func(f *follower) {
			for f.delay < repairLatest {
				f.fail(unix.ENOMEM)
			}
		}, repairLatest},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := 0
				m := newMirror(Options{Changed: func(bool) { told++ }})
				f := newFollower(m)
				<-f.again.C
				f.ready = true
				c.after(f)
				told = 0
				begun := time.Now()
				for tick := time.NewTicker(c.pause / 8); ; {
					select {
					case <-tick.C:
						m.inbox.lose()
						f.events()
						continue
					case <-f.again.C:
					}
					tick.Stop()
					break
				}
				if took := time.Since(begun); took != c.pause {
					t.Errorf("read again after %v, not %v", took, c.pause)
				}
				if told > 1 {
					t.Errorf("told %d times", told)
				}
				f.expiry.Stop()
			})
		})
	}
}

// TestRoutesThatLookAlike removes one of two routes that differ in what decides no way: the other one still leads there.
func TestRoutesThatLookAlike(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	dst := netip.MustParsePrefix("192.0.2.0/24")
	for name, differ := range map[string]func(wire) wire{
		"protocol": func(w wire) wire { w[5] = unix.RTPROT_BGP; return w },
		"realm":    func(w wire) wire { return w.attr32(unix.RTA_FLOW, 7) },
		"window":   func(w wire) wire { return w.attr(unix.RTA_METRICS, wire(nil).attr32(unix.RTAX_WINDOW, 1000)) },
		"flags":    func(w wire) wire { w[8] |= unix.RTNH_F_ONLINK; return w },
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, dumped %v", name, late), func(t *testing.T) {
				w := newWorld(t, testenv.Rand(t))
				c := newCaughtUp(t, newTalk(t, w.near))
				must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, w.to(netip.MustParsePrefix("0.0.0.0/0"), unix.RT_TABLE_MAIN, 1, w.host4(1, 0, 9)), nil))
				route := func() wire { return w.to(dst, unix.RT_TABLE_MAIN, 0, w.host4(0, 0, 9)) }
				var m *Mirror
				if !late {
					m = openIn(t, w.near, c.options())
					c.await()
				}
				must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, route(), nil))
				must(t, w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, differ(route()), nil))
				if late {
					m = openIn(t, w.near, c.options())
					c.await()
				}
				must(t, w.talk.do(unix.RTM_DELROUTE, 0, differ(route()), nil))
				c.await()
				q := Query{Dst: dst.Addr().Next()}
				got, ask := m.Snapshot().Lookup(&q)
				if v := w.talk.ask(&q); ask == Answered && disagreement(got, v) != "" {
					t.Errorf("by %v; %s", got.Hop.Gateway, disagreement(got, v))
				}
			})
		}
	}
}
