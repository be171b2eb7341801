// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"net"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/mirror"
)

// An answer of the mirror stands until something that it rests on changes; one of the kernel until any route does.
func TestStanding(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	h := handle(t, lab.A.NS)
	table := open(t, lab, Options{Mirror: true})
	settle(t, lab, table)
	gateway := net.IP(lab.B.IPv4().AsSlice())
	index := lab.A.If.Index()
	via := func(dst string) *netlink.Route {
		_, p, err := net.ParseCIDR(dst)
		must(t, err)
		return &netlink.Route{LinkIndex: index, Dst: p, Gw: gateway}
	}
	must(t, h.RouteAdd(via("192.0.2.0/24")))
	blackhole := via("203.0.113.0/24")
	blackhole.LinkIndex, blackhole.Gw, blackhole.Type = 0, nil, 6 // RTN_BLACKHOLE

	var on Standing
	q := Query{Dst: addr("192.0.2.9")}
	testenv.Eventually(t, patience, "an answer of the mirror", func() bool {
		hop, err := table.ResolveStanding(t.Context(), q, &on)
		return err == nil && on.hop != nil && hop.Gateway == lab.B.IPv4()
	})
	asked := table.Asked()
	if hop, err := table.ResolveStanding(t.Context(), q, &on); err != nil || hop.Gateway != lab.B.IPv4() {
		t.Errorf("%+v, %v", hop, err)
	}
	if now := table.Asked(); !maps.Equal(now, asked) {
		t.Errorf("asked: %v, before %v", now, asked)
	}
	grows(t, table, "another route", func() error { return h.RouteAdd(blackhole) })
	var other Standing
	testenv.Eventually(t, patience, "the route in the mirror", func() bool {
		_, err := table.ResolveStanding(t.Context(), Query{Dst: addr("203.0.113.1")}, &other)
		return err != nil && table.Asked()["refused"] > 0
	})
	if !table.Stands(&on) {
		t.Error("a route to elsewhere has ended an answer")
	}
	if n := testing.AllocsPerRun(100, func() { table.mirrorGen.Add(1); table.Stands(&on) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	must(t, h.RouteAdd(via("192.0.2.8/29")))
	testenv.Eventually(t, patience, "the same next hop by another route", func() bool {
		_, err := table.ResolveStanding(t.Context(), q, &other)
		return err == nil && other.hop != nil
	})
	if other.hop != on.hop {
		t.Error("one next hop has two identities")
	}
	more := via("192.0.2.8/30")
	more.MTU = 1300
	must(t, h.RouteAdd(more))
	testenv.Eventually(t, patience, "the answer to end with its route", func() bool { return !table.Stands(&on) })
	hop, err := table.ResolveStanding(t.Context(), q, &on)
	if err != nil || hop.MTU != 1300 {
		t.Errorf("%+v, %v", hop, err)
	}

	// The kernel was asked.
	if _, err := table.ResolveStanding(t.Context(), Query{Dst: lab.A.IPv4()}, &other); err != nil || other.hop != nil {
		t.Fatalf("%v, hop %v", err, other.hop)
	}
	grows(t, table, "a route less", func() error { return h.RouteDel(blackhole) })
	if table.Stands(&other) {
		t.Error("an answer of the kernel goes on to stand")
	}
}

// A table has a mirror where somebody wants one, and does without where there is none to be had.
func TestStandingWithoutMirror(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	for name, wanted := range map[string]bool{"not wanted": false, "not to be had": true} {
		t.Run(name, func(t *testing.T) {
			var logged bytes.Buffer
			opened := 0
			table := open(t, lab, Options{
				Mirror: wanted, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
				openMirror: func(mirror.Options) (*mirror.Mirror, error) {
					opened++
					return nil, errors.New("too many open files")
				},
			})
			settle(t, lab, table)
			var on Standing
			// What settle has changed is looked at a second time, which ends an answer that was given meanwhile.
			testenv.Eventually(t, patience, "an answer that stands", func() bool {
				hop, err := table.ResolveStanding(t.Context(), Query{Dst: lab.B.IPv4()}, &on)
				if err != nil || hop.Gateway != lab.B.IPv4() || on.hop != nil {
					t.Errorf("%+v, %v, by the mirror: %v", hop, err, on.hop != nil)
				}
				return table.Stands(&on)
			})
			table.Flush(lab.B.IPv4())
			must(t, table.Close())
			if (opened > 0) != wanted || strings.Contains(logged.String(), "too many open files") != wanted {
				t.Errorf("opened %d times; logged: %s", opened, logged.String())
			}
		})
	}
}
