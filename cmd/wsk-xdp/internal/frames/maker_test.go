// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/flows"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func addresses(t testing.TB, s string) (a units.Addresses) {
	t.Helper()
	if err := a.Set(s); err != nil {
		t.Fatal(err)
	}
	return a
}

// plan is one with addresses and ports at both ends.
func plan(t testing.TB, is4 bool, n uint64) Plan {
	t.Helper()
	to, from := "fd00::2:0/112", "fd00::1:0/112"
	if is4 {
		to, from = "10.0.0.0-10.0.255.255", "10.1.0.0-10.1.255.255"
	}
	clock, err := stamp.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	p := Plan{
		Space: flows.Space{Addresses: addresses(t, to), Ports: units.PortRange(9000, 9009)}, Flows: n, Sources: addresses(t, from),
		Ports:   units.PortRange(5000, 5002),
		Header:  frame.Flow{SrcMAC: frame.MAC{2, 0, 0, 0, 0, 1}, DstMAC: frame.MAC{2, 0, 0, 0, 0, 2}, TTL: 9, TOS: 4},
		Payload: bytes.Repeat([]byte("some payload"), 10), Sizes: []int{18, 119, 40, 120}, Run: 7, Clock: clock,
	}
	p.Space.Sources = p.Sources.Len() * p.Ports.Len()
	return p
}

// Every frame is whole, with right checksums, of the flow whose turn it is and with the number that is next, whether the
// headers of flows are kept or made each time; an independent decoder reads them.
func TestFrames(t *testing.T) {
	for _, c := range []struct {
		is4   bool
		flows uint64
		seed  uint64
		tags  []frame.VLANTag
		stamp blast.StampKind
	}{
		{true, 1, 0, nil, blast.StampWSK}, {true, 1500, 7, nil, blast.StampWSK}, {true, MaxFlows, 0, nil, blast.StampWSK},
		{false, 3, 0, []frame.VLANTag{{ID: 42, PCP: 5}}, blast.StampWSK}, {false, MaxFlows, 9, nil, blast.StampNone},
		{true, 3, 0, []frame.VLANTag{{ID: 1}, {ID: 4094}}, blast.StampPktgen},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			p := plan(t, c.is4, c.flows)
			p.Space.Seed, p.Header.VLANs, p.Stamp = c.seed, c.tags, c.stamp
			m, err := NewMaker(p)
			if err != nil {
				t.Fatal(err)
			}
			chunk := bytes.Repeat([]byte{0xee}, 256)
			next := map[uint16]uint64{}
			for i := range 4000 {
				length, size := m.Put(chunk, time.Now())
				got, err := testenv.Decode(chunk[:length])
				if err != nil {
					t.Fatalf("frame %d: %v", i, err)
				}
				flow := uint64(i) % c.flows
				want := p.Space.At(flow)
				from := netip.AddrPortFrom(p.Sources.At(want.Source%p.Sources.Len()), p.Ports.At(want.Source/p.Sources.Len()%3))
				if netip.AddrPortFrom(got.Destination, got.DestinationPort) != want.To || netip.AddrPortFrom(got.Source, got.SourcePort) != from ||
					got.TTL != 9 || got.TOS != 4 || len(got.VLANs) != len(c.tags) || len(got.Payload) != size || size != p.Sizes[i%4] {
					t.Fatalf("frame %d of flow %d: %+v, want %v to %v", i, flow, got, from, want.To)
				}
				n := c.stamp.Size()
				if !bytes.Equal(got.Payload[n:], p.Payload[n:size]) {
					t.Fatalf("frame %d: payload %q", i, got.Payload)
				}
				if c.stamp != blast.StampWSK {
					continue
				}
				s, ok := stamp.Parse(got.Payload)
				if !ok || s.Run != 7 || uint64(s.Stream) != flow%stamp.Streams || s.Sequence != next[s.Stream] {
					t.Fatalf("frame %d: %+v, want number %d", i, s, next[s.Stream])
				}
				next[s.Stream]++
			}
			for stream, n := range m.Sent() {
				if c.stamp == blast.StampWSK && n != next[uint16(stream)] {
					t.Fatalf("%d numbers of stream %d, %d frames", n, stream, next[uint16(stream)])
				}
			}
		})
	}
}

func TestMakerRefuses(t *testing.T) {
	for name, change := range map[string]func(*Plan){
		"no flow":         func(p *Plan) { p.Flows = 0 },
		"too many":        func(p *Plan) { p.Flows = MaxFlows + 1 },
		"more than are":   func(p *Plan) { p.Space.Addresses, p.Space.Sources = addresses(t, "10.0.0.1"), 1 },
		"no room":         func(p *Plan) { p.Sizes = []int{17} },
		"more than there": func(p *Plan) { p.Sizes = []int{121} },
		"two families":    func(p *Plan) { p.Sources = addresses(t, "fd00::1") },
		"no MAC":          func(p *Plan) { p.Header.SrcMAC = frame.BroadcastMAC() },
		"too many tags":   func(p *Plan) { p.Header.VLANs = make([]frame.VLANTag, 3) },
	} {
		p := plan(t, true, 100)
		change(&p)
		if _, err := NewMaker(p); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Flows that are kept cost no allocation, and neither do ten million.
func TestMakingAllocatesNothing(t *testing.T) {
	for _, n := range []uint64{1000, MaxFlows} {
		m, err := NewMaker(plan(t, true, n))
		if err != nil {
			t.Fatal(err)
		}
		chunk, now := make([]byte, 256), time.Now()
		if allocs := testing.AllocsPerRun(1000, func() { m.Put(chunk, now) }); allocs > 0 {
			t.Errorf("%d flows: %v allocations for a frame", n, allocs)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	for _, n := range []uint64{1, 1000, MaxFlows} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := plan(b, true, n)
			p.Sizes = []int{18}
			m, err := NewMaker(p)
			if err != nil {
				b.Fatal(err)
			}
			chunk, now := make([]byte, 256), time.Now()
			for b.Loop() {
				m.Put(chunk, now)
			}
		})
	}
}
