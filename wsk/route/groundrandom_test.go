// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// While all sorts of things change, an answer that stands is the one that would be given now. An answer is given twice
// here, and what comes between two looks at the first belongs to both.
func TestStandingIsWhatWouldBeAnswered(t *testing.T) {
	j, h := twoWays(t)
	table := open(t, j.lab, Options{Mirror: true})
	settle(t, j.lab, table)
	r := rand.New(rand.NewPCG(1, 2))
	list := keepers(t, table, j)
	route := &netlink.Route{Dst: ipNet("198.51.100.8/30"), Gw: net.IP{10, 77, 0, 253}, LinkIndex: j.links[0].Index(), MTU: 1200}
	ops := []func() error{
		func() error { return j.links[r.IntN(2)].SetMTU(1300 + r.IntN(200)) },
		func() error {
			return j.links[0].SetNeighbour(addr("10.77.0.254"), net.HardwareAddr{2, 0, 0, 0, 0x14, byte(r.IntN(256))})
		},
		func() error {
			return j.links[0].SetNeighbour(addr("fd77::fe"), net.HardwareAddr{2, 0, 0, 0, 0x16, byte(r.IntN(256))})
		},
		func() error {
			return j.links[r.IntN(2)].AddAddr(netip.MustParsePrefix(fmt.Sprintf("10.77.0.%d/24", 10+r.IntN(3))))
		},
		func() error {
			return j.links[r.IntN(2)].DeleteAddr(netip.MustParsePrefix(fmt.Sprintf("10.77.0.%d/24", 10+r.IntN(3))))
		},
		func() error {
			return j.links[r.IntN(2)].AddAddr(netip.MustParsePrefix(fmt.Sprintf("fd77::%d/64", 10+r.IntN(3))))
		},
		func() error {
			return j.links[r.IntN(2)].DeleteAddr(netip.MustParsePrefix(fmt.Sprintf("fd77::%d/64", 10+r.IntN(3))))
		},
		func() error { return j.links[r.IntN(2)].SetARP(r.IntN(2) == 0) },
		func() error { return h.RouteReplace(route) },
		func() error { return h.RouteDel(route) },
		func() error { return j.links[1].SetMAC(net.HardwareAddr{2, 0, 0, 0, 0x15, byte(r.IntN(256))}) },
	}
	compared, ended := 0, 0
	ctx := testenv.Context(t, patience)
	for compared < 600 || ended < 100 {
		if ctx.Err() != nil {
			t.Fatalf("%d answers stood, %d ended: the test does not test", compared, ended)
		}
		_ = ops[r.IntN(len(ops))]() // one that is refused changes nothing
		for _, k := range list {
			if !table.Stands(&k.on) {
				ended++
				k.kept = take(t, table, k.q, &k.on)
				continue
			}
			var fresh Standing
			now := take(t, table, k.q, &fresh)
			if now.mac == [6]byte{} {
				now.mac = k.kept.mac // the entry is gone, which says nothing of the neighbour: it is asked for again
			}
			switch {
			case now == k.kept:
				compared++
			default: // it has just changed, and that is about to be told
				testenv.Eventually(t, patience, fmt.Sprintf("%+v to end, for now it is %+v", k.kept, now),
					func() bool { return !table.Stands(&k.on) })
			}
		}
	}
}
