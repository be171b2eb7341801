// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Nobody hears of a neighbour that moves while it is not in use; so who comes back to it must look anew.
func TestKeepAliveAfterPause(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	table := open(t, lab, Options{})
	k := neighbourKey{lab.A.If.Index(), lab.B.IPv4()}
	_, err := table.Neighbour(t.Context(), k.index, k.ip)
	must(t, err)
	settle(t, lab, table)
	gen := table.Generation()
	table.KeepAlive(k.index, k.ip)
	forget(table, k)
	next := net.HardwareAddr{2, 0, 0, 0, 0, 0x99}
	must(t, lab.A.If.SetNeighbour(k.ip, next))
	testenv.Eventually(t, patience, "the new MAC", func() bool { return table.snap.Load().macs[k] == [6]byte(next) })
	if now := table.Generation(); now != gen {
		t.Fatalf("generation %d, was %d: the test does not test", now, gen)
	}
	for range 2 {
		table.KeepAlive(k.index, k.ip)
		if now := table.Generation(); now != gen+1 {
			t.Errorf("generation %d, was %d before the pause", now, gen)
		}
	}
}

// A neighbour in use is deleted, and just then the kernel can't be asked for it again. It is asked later: it may come back
// with another MAC.
func TestKeepAliveOfDeleted(t *testing.T) {
	eachProbe(t, func(t *testing.T, o Options) {
		lab := newLab(t, testenv.Topology{NoIPv6: true})
		must(t, lab.A.NS.Sysctl("ipv4/neigh/wsk0/retrans_time_ms", "100"))
		must(t, lab.A.NS.Sysctl("ipv4/neigh/wsk0/mcast_solicit", "100"))
		o.keepAliveEvery = 20 * time.Millisecond
		table := open(t, lab, o)
		w := newWatch(t, table)
		index, ip := lab.A.If.Index(), lab.B.IPv4()
		_, err := table.Neighbour(t.Context(), index, ip)
		must(t, err)
		w.neighbour(t, ip, true)
		settle(t, lab, table)
		gen := table.Generation()
		never, usual := unix.NsecToTimeval(-int64(time.Second)), unix.NsecToTimeval(int64(requestTimeout))
		must(t, table.dumper.handle.Socket.SetReceiveTimeout(&never))
		must(t, lab.B.If.SetDown())
		w.neighbour(t, ip, false)
		next := net.HardwareAddr{2, 0x77, 0, 0, 0, 0xdd}
		must(t, lab.B.If.SetMAC(next))
		must(t, lab.B.If.SetUp())
		must(t, table.dumper.handle.Socket.SetReceiveTimeout(&usual))
		if e := w.neighbour(t, ip, true); e.MAC != [6]byte(next) || table.Generation() <= gen {
			t.Errorf("%+v, generation %d, was %d", e, table.Generation(), gen)
		}
	})
}
