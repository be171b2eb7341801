// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/benchtest"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestSameDatagrams lets the receiving kernel judge what each engine sends: the same payload to every destination, and
// to each of them as often. Where datagrams have stamps, these are what they should be, and no number comes twice.
func TestSameDatagrams(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	child := quick(t).Child
	top := testenv.Topology{Neighbours: testenv.Static, NoIPv6: true, GRO: true} // which live frames need there
	const destinations, payload, enough = 5, 100, 1500
	addr := labB.Addr()
	for range destinations {
		top.B.Addrs = append(top.B.Addrs, netip.PrefixFrom(addr, 24))
		addr = addr.Next()
	}
	lab := testenv.NewLabT(t, top)
	j := job{
		Interface: lab.A.If.Name(), IfIndex: lab.A.If.Index(), SrcMAC: frame.MAC(lab.A.If.MAC()), Source: lab.A.IPv4(),
		Payload: payload, Queues: 1,
	}
	for i, name := range Names() {
		// A port for each: what the engine before it has sent may still arrive, and is not to be taken for this one's.
		port := uint16(labPort + i)
		j.Engine, j.Targets = name, nil
		for _, b := range top.B.Addrs {
			j.Targets = append(j.Targets, target{netip.AddrPortFrom(b.Addr(), port), frame.MAC(lab.B.If.MAC())})
		}
		receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(netip.IPv4Unspecified(), port), testenv.UDPReceiverOptions{})
		s, err := proc.StartChild(lab.A.NS.Do, child, &j)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, begun, err := allBegun(testenv.Context(t, benchtest.Limit), receiver, j.Targets, enough)
		if stopErr := s.Stop(proc.StopTime); stopErr != nil {
			t.Errorf("%s: %v", name, stopErr)
		}
		// What is still in its buffer is many times what was waited for.
		if closeErr := receiver.Close(); closeErr != nil {
			t.Errorf("%s: %v", name, closeErr)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		to, numbers := map[netip.Addr]int{}, map[[2]uint64]bool{}
		for i, d := range got {
			if i >= begun {
				to[d.Destination]++
			}
			want := j.payload()
			switch name {
			case "wsk-stamped", "frames", "xdp":
				one, ok := stamp.Parse(d.Payload)
				number := [2]uint64{uint64(one.Stream), one.Sequence}
				if !ok || numbers[number] {
					t.Fatalf("%s: stamp %+v, payload % x", name, one, d.Payload)
				}
				numbers[number] = true
				one.Put(want)
			}
			if !bytes.Equal(d.Payload, want) {
				t.Fatalf("%s: payload % x", name, d.Payload)
			}
		}
		for _, want := range j.Targets {
			// The receiver may lose some datagrams, but hardly those to one destination alone.
			if n, all := to[want.To.Addr()], len(got)-begun; n < all/destinations/2 || n > all/destinations*2 {
				t.Errorf("%s: %d of %d datagrams to %v (%v)", name, n, all, want.To, to)
			}
		}
	}
}

// allBegun waits until each target has been sent to and then for more datagrams. It returns all, and how many had come when the last target
// had its first: one of them may start late.
func allBegun(ctx context.Context, receiver *testenv.UDPReceiver, targets []target, more int) (got []testenv.Datagram, begun int, err error) {
	for _, to := range targets {
		if _, err := receiver.WaitFor(ctx, func(d testenv.Datagram) bool { return d.Destination == to.To.Addr() }); err != nil {
			return nil, 0, err
		}
	}
	begun = len(receiver.Datagrams())
	got, err = receiver.Wait(ctx, begun+more)
	return got, begun, err
}
