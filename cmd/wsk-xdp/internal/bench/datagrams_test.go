// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"fmt"
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
	const destinations, payload, enough = 5, 100, 200
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
		got, err := enoughToEach(testenv.Context(t, benchtest.Limit), receiver, destinations, enough)
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
		numbers := map[[2]uint64]bool{}
		for _, d := range got {
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
	}
}

// enoughToEach waits until so many datagrams have come to each destination, of those that there are, and returns all. In how few
// they are among those to others, where one has to wait for a processor, is nobody's fault.
func enoughToEach(ctx context.Context, receiver *testenv.UDPReceiver, destinations, enough int) ([]testenv.Datagram, error) {
	to, done := map[netip.Addr]int{}, 0
	_, err := receiver.WaitFor(ctx, func(d testenv.Datagram) bool {
		if to[d.Destination]++; to[d.Destination] == enough {
			done++
		}
		return done == destinations
	})
	if err != nil {
		return nil, fmt.Errorf("%w; datagrams by destination: %v", err, to)
	}
	return receiver.Datagrams(), nil
}
