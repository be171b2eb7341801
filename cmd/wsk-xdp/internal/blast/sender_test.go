// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Sizes go round packet by packet, over the bounds of bursts; flows IRP by IRP. What completed is counted in bytes.
func TestMixOfSizesAndFlows(t *testing.T) {
	transport, sockets := openSockets(t, 2)
	d := Datagrams{Payload: []byte("abcdefgh"), Sizes: []int{8, 0, 3}, Stamp: StampNone}
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
		d := Datagrams{Random: true, Seed: seed, Stamp: StampNone}
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
	m := MixOf(true, []int{18, 466, 1472, 4000}, 1500, 0)
	if m.Packets != 4 || m.Payload != 18+466+1472+4000 || m.Largest != 4000 || m.Frames != 3 || m.L2Bytes != 64+512+1518+4000+8+3*38 ||
		m.L1Bytes != m.L2Bytes+6*20 {
		t.Errorf("%+v", m)
	}
	if m.MeanL2() != (m.L2Bytes+2)/4 || m.MeanL1() != (m.L1Bytes+2)/4 {
		t.Errorf("%d, %d", m.MeanL2(), m.MeanL1())
	}
}

// Each datagram has its number and the time of its call, whatever bursts it leaves in and however often its IRP is used;
// behind the stamp is the payload.
func TestStamps(t *testing.T) {
	clock, err := stamp.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte("------------------" + "the payload behind it")
	for _, batch := range []int{1, 7} {
		transport, sockets := openSockets(t, 1)
		d := Datagrams{Payload: payload, Sizes: []int{stamp.Size, len(payload), stamp.Size + 3}, Run: 77, Clock: clock}
		for i := range 3 {
			d.Flows = append(d.Flows, Flow{sockets[0], wsk.NewSockaddr(addrPort(fmt.Sprintf("10.0.0.%d:9000", i+1)))})
		}
		before := clock.Now()
		sender := NewMixSender(d, batch)
		mustRun(t, t.Context(), Config{Count: 1000, Batch: batch, InFlight: 4, Drain: time.Minute}, sender)
		next := make([]uint64, 3)
		last := before
		for i, got := range transport.Datagrams() {
			s, ok := stamp.Parse(got.Payload)
			stream := got.To.Addr[15] - 1
			if !ok || s.Run != 77 || s.Stream != uint16(stream) || s.Sequence != next[stream] || stamp.Since(s.Time, last) > uint64(time.Minute) ||
				string(got.Payload[stamp.Size:]) != string(payload[stamp.Size:d.Sizes[i%3]]) {
				t.Fatalf("batch %d, datagram %d: %+v, %q", batch, i, s, got.Payload)
			}
			next[stream]++
			last = s.Time
		}
		if sent := sender.Sent(); !slices.Equal(sent, next) {
			t.Errorf("%v were given out, %v left", sent, next)
		}
	}
}

// More than 2³² numbers go on in the stamp.
func TestStampsBeyond32Bits(t *testing.T) {
	transport, sockets := openSockets(t, 1)
	d := Datagrams{Payload: make([]byte, 18), Flows: []Flow{{sockets[0], remote}}}
	sender := NewMixSender(d, 4)
	sender.stamps.sent[0] = 1<<32 - 2
	mustRun(t, t.Context(), Config{Count: 4, Batch: 4, InFlight: 1, Drain: time.Minute}, sender)
	for i, got := range transport.Datagrams() {
		if s, ok := stamp.Parse(got.Payload); !ok || s.Sequence != 1<<32-2+uint64(i) {
			t.Errorf("%d: %+v", i, s)
		}
	}
}

// The kernel generator's header is what its readers expect.
func TestPktgenStamps(t *testing.T) {
	transport, sockets := openSockets(t, 1)
	d := Datagrams{Payload: []byte("0123456789abcdefXY"), Flows: []Flow{{sockets[0], remote}}, Stamp: StampPktgen}
	mustRun(t, t.Context(), Config{Count: 5, Batch: 2, InFlight: 2, Drain: time.Minute}, NewMixSender(d, 2))
	for i, got := range transport.Datagrams() {
		b := got.Payload
		if binary.BigEndian.Uint32(b) != 0xbe9be955 || binary.BigEndian.Uint32(b[4:]) != uint32(i) || string(b[16:]) != "XY" ||
			time.Since(time.Unix(int64(binary.BigEndian.Uint32(b[8:])), 0)) > time.Hour {
			t.Errorf("%d: %x", i, b)
		}
	}
}
