// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"fmt"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Sizes go round packet by packet, over the bounds of bursts; flows IRP by IRP. What completed is counted in bytes.
func TestMixOfSizesAndFlows(t *testing.T) {
	transport, sockets := openSockets(t, 2)
	d := Datagrams{Payload: []byte("abcdefgh"), Sizes: []int{8, 0, 3}}
	for i := range 3 {
		d.Flows = append(d.Flows, Flow{sockets[i%2], wsk.NewSockaddr(addrPort(fmt.Sprintf("10.0.0.%d:9000", i+1)))})
	}
	res := mustRun(t, t.Context(), Config{Count: 100, Batch: 7, InFlight: 4, Drain: time.Minute}, NewMixSender(d, 7))
	sent := transport.Datagrams()
	sum := 0
	for i, got := range sent {
		want := d.Payload[:d.Sizes[i%3]]
		if string(got.Payload) != string(want) || got.To.Addr[15] != byte(i/7%3+1) {
			t.Fatalf("datagram %d: %q to %x, want %q", i, got.Payload, got.To.Addr, want)
		}
		sum += len(want)
	}
	if len(sent) != 100 || res.Payload != uint64(sum) {
		t.Errorf("%d datagrams, %d bytes; want 100, %d", len(sent), res.Payload, sum)
	}
}

// Flows at random are repeated by the seed, and all have their turn.
func TestFlowsAtRandom(t *testing.T) {
	run := func(seed uint64) (out []byte) {
		transport, sockets := openSockets(t, 1)
		d := Datagrams{Random: true, Seed: seed}
		for i := range 8 {
			d.Flows = append(d.Flows, Flow{sockets[0], wsk.NewSockaddr(addrPort(fmt.Sprintf("10.0.0.%d:9000", i+1)))})
		}
		mustRun(t, t.Context(), Config{Count: 500, Batch: 1, InFlight: 8, Drain: time.Minute}, NewMixSender(d, 1))
		seen := map[byte]int{}
		for _, got := range transport.Datagrams() {
			out = append(out, got.To.Addr[15])
			seen[out[len(out)-1]]++
		}
		if len(seen) != 8 {
			t.Errorf("seed %d: %v", seed, seen)
		}
		return out
	}
	if one, same, other := string(run(1)), string(run(1)), string(run(2)); one != same || one == other {
		t.Error("the order of flows is not the seed's")
	}
}

func TestMixOnTheWire(t *testing.T) {
	m := MixOf(true, []int{18, 466, 1472, 4000}, 1500)
	if m.Packets != 4 || m.Payload != 18+466+1472+4000 || m.Largest != 4000 || m.Frames != 3 || m.L2Bytes != 64+512+1518+4000+8+3*38 ||
		m.L1Bytes != m.L2Bytes+6*20 {
		t.Errorf("%+v", m)
	}
	if m.MeanL2() != (m.L2Bytes+2)/4 || m.MeanL1() != (m.L1Bytes+2)/4 {
		t.Errorf("%d, %d", m.MeanL2(), m.MeanL1())
	}
}
