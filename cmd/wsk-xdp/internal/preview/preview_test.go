// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/flows"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/frame"
)

// planOf is packets of two flows to one address.
func planOf(t *testing.T, to, from string, sizes ...int) frames.Plan {
	t.Helper()
	p := frames.Plan{
		Space: flows.Space{Sources: 1}, Flows: 2, Payload: slices.Repeat([]byte{'x'}, slices.Max(sizes)), Sizes: sizes, Stamp: blast.StampWSK, Run: 7,
		Header: frame.Flow{SrcMAC: frame.MAC{2, 0, 0, 0, 0, 1}, DstMAC: frame.MAC{2, 0, 0, 0, 0, 2}, TTL: 9, TOS: 4},
	}
	for _, err := range []error{p.Space.Addresses.Set(to), p.Space.Ports.Set("9000-9001"), p.Sources.Set(from), p.Ports.Set("5000")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func filled(t *testing.T, p Plan, n uint64) *Report {
	t.Helper()
	r := &Report{}
	if err := r.Fill(p, n); err != nil {
		t.Fatal(err)
	}
	return r
}

// Prepared frames take flow after flow, and each is decoded as what it is: addresses, tag, sizes, the number in its stream.
func TestPreparedFrames(t *testing.T) {
	p := Plan{Plan: planOf(t, "10.0.0.2", "10.0.0.1", 18, 100)}
	p.Header.VLANs = []frame.VLANTag{{ID: 42}}
	r := filled(t, p, 4)
	for n, want := range []struct {
		to             string
		bytes, payload int
		stream         uint16
		number         uint64
	}{{"10.0.0.2:9000", 68, 18, 0, 0}, {"10.0.0.2:9001", 150, 100, 1, 0}, {"10.0.0.2:9000", 68, 18, 0, 1}, {"10.0.0.2:9001", 150, 100, 1, 1}} {
		f := r.Frames[n]
		if f.Packet != uint64(n) || f.Destination != want.to || f.Source != "10.0.0.1:5000" || f.Bytes != want.bytes || f.Payload != want.payload ||
			f.Stream == nil || *f.Stream != want.stream || *f.Number != want.number || !slices.Equal(f.VLANs, []int{42}) || f.TTL != 9 || f.TOS != 4 ||
			f.SourceMAC != "02:00:00:00:00:01" || f.DestinationMAC != "02:00:00:00:00:02" || len(f.Hex) != 2*(f.Bytes-fcs) {
			t.Errorf("frame %d: %+v", n, f)
		}
	}
	if r.Requested = 2; len(filled(t, p, 4).Frames) != 4 {
		t.Error("four were asked for")
	}
	r.Frames = nil
	if err := r.Fill(p, 4); err != nil || len(r.Frames) != 2 {
		t.Errorf("%d frames of a run of two packets, %v", len(r.Frames), err)
	}
}

// Datagrams of sockets come in bursts of a flow from what the sockets are bound to, and in fragments above the MTU: only the first has ports
// and the stamp.
func TestDatagrams(t *testing.T) {
	for _, one := range []struct {
		to, from string
		headers  int
	}{{"10.0.0.2", "10.0.0.1", 28}, {"fd00::2", "fd00::1", 48}} {
		p := Plan{
			Plan: planOf(t, one.to, one.from, 2000), Datagrams: true, Batch: 3, MTU: 1500,
			Bound: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(one.from), 77)},
		}
		r := filled(t, p, 4)
		if len(r.Frames) != 8 {
			t.Fatalf("%d frames of 4 packets in 2 fragments each", len(r.Frames))
		}
		for n, f := range r.Frames {
			first, packet := n%2 == 0, uint64(n/2)
			to, from := netip.AddrPortFrom(netip.MustParseAddr(one.to), uint16(9000+packet/3)).String(), p.Bound[0].String()
			if !first {
				to, from = one.to, one.from
			}
			if f.Packet != packet || f.More != first || (f.Offset == 0) != first || f.Destination != to || f.Source != from || (f.Number != nil) != first ||
				first && (*f.Number != packet%3 || *f.Stream != uint16(packet/3)) {
				t.Errorf("%s, frame %d: %+v", one.to, n, f)
			}
		}
	}
}

// What is behind a stamp that is none of ours is not decoded, and what can't be made is an error and no frame.
func TestWhatIsNotDecoded(t *testing.T) {
	p := Plan{Plan: planOf(t, "10.0.0.2", "10.0.0.1", 18)}
	for _, kind := range []blast.StampKind{blast.StampNone, blast.StampPktgen} {
		p.Stamp = kind
		if f := filled(t, p, 1).Frames[0]; f.Number != nil || f.Stream != nil {
			t.Errorf("%v: %+v", kind, f)
		}
	}
	p.Stamp = blast.StampWSK
	p.Sizes = []int{17}
	if err := (&Report{}).Fill(p, 1); err == nil {
		t.Error("17 bytes hold a stamp of 18")
	}
	p = Plan{Plan: planOf(t, "10.0.0.2", "10.0.0.1", 18), Datagrams: true, Batch: 1, MTU: 1500, Bound: []netip.AddrPort{netip.MustParseAddrPort("[fd00::1]:5")}}
	if err := (&Report{}).Fill(p, 1); err == nil {
		t.Error("IPv6 sends to IPv4")
	}
}

// Packets have the times at which they are due, all fragments of one the same, and an error of whoever takes them ends it.
func TestEach(t *testing.T) {
	p := Plan{
		Plan: planOf(t, "10.0.0.2", "10.0.0.1", 2000), Datagrams: true, Batch: 1, MTU: 1500, Bound: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:5")},
	}
	var at []time.Duration
	c := blast.Config{Rate: blast.PPS(1000), Burst: 2}
	if err := p.Each(4, c.After(), time.Time{}, func(_ uint64, _ []byte, after time.Duration) error {
		at = append(at, after)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	const ms = time.Millisecond
	if want := []time.Duration{0, 0, 0, 0, 2 * ms, 2 * ms, 2 * ms, 2 * ms}; !slices.Equal(at, want) {
		t.Errorf("%v, want %v", at, want)
	}
	full, taken := errors.New("full"), 0
	if err := p.Each(4, blast.Config{}.After(), time.Time{}, func(uint64, []byte, time.Duration) error {
		if taken++; taken == 3 {
			return full
		}
		return nil
	}); !errors.Is(err, full) || taken != 3 {
		t.Errorf("%v after %d", err, taken)
	}
}

// People are shown the beginning of a long frame, and how much more there is.
func TestTables(t *testing.T) {
	r := filled(t, Plan{Plan: planOf(t, "10.0.0.2", "10.0.0.1", 400)}, 1)
	r.Requested, r.Capture, r.Captured = 5, "a.pcap", 1
	var text strings.Builder
	for _, table := range r.Tables() {
		if err := table.Write(&text); err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range []string{
		"5 packets", "packet 0, 446 B", "10.0.0.1:5000 > 10.0.0.2:9000", "stream 0 number 0", "  0070  78 78", "and 314 bytes more", "the first 1 packet are in a.pcap",
	} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("%q is not in\n%s", part, &text)
		}
	}
	if strings.Contains(text.String(), "  0080") {
		t.Error("more than the beginning is shown")
	}
}
