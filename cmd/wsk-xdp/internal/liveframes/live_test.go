// SPDX-License-Identifier: Apache-2.0

package liveframes

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/flows"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// lab is two hosts of which B has an XDP program, without which a veth takes no frames.
func lab(t *testing.T, pass bool) *testenv.Lab {
	t.Helper()
	testenv.Require(t, testenv.NetNS|testenv.XDPProgram)
	l := testenv.NewLabT(t, testenv.Topology{Neighbours: testenv.Static})
	testenv.NewDropCounterT(t, l.B.If, testenv.DropCounterOptions{Pass: pass})
	return l
}

func addresses(t testing.TB, s string) (a units.Addresses) {
	t.Helper()
	if err := a.Set(s); err != nil {
		t.Fatal(err)
	}
	return a
}

// plan is one with addresses and ports at both ends, to a host that nobody is.
func plan(t testing.TB, is4 bool, n uint64) frames.Plan {
	t.Helper()
	to, from := "fd00::2:0/112", "fd00::ffff:ffff:ffff:fff0-fd00::1:0:0:0:ffff"
	if is4 {
		to, from = "10.0.0.0-10.0.255.255", "10.1.0.0-10.1.255.255"
	}
	clock, err := stamp.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	p := frames.Plan{
		Space: flows.Space{Addresses: addresses(t, to), Ports: units.PortRange(9000, 9009)}, Flows: n, Sources: addresses(t, from),
		Ports:   units.PortRange(5000, 5002),
		Header:  frame.Flow{SrcMAC: frame.MAC{2, 0, 0, 0, 0, 1}, DstMAC: frame.MAC{2, 0, 0, 0, 0, 2}, TTL: 9, TOS: 4},
		Payload: bytes.Repeat([]byte("some payload"), 10), Sizes: []int{18, 119, 40, 120}, Run: 7, Clock: clock,
	}
	p.Space.Sources = p.Sources.Len() * p.Ports.Len()
	return p
}

// open makes a sender of A's.
func open(t *testing.T, l *testenv.Lab, c blast.Config, p frames.Plan, o Options) *Sender {
	t.Helper()
	o.Device = Device{l.A.If.Name(), l.A.If.Index()}
	var s *Sender
	err := l.A.NS.Do(func() (err error) {
		s, err = Open(c, p, o)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// timeless is a frame without what depends on when it was sent: the time in its stamp, which it returns, and with that the checksum.
func timeless(t *testing.T, b []byte, headers int, kind blast.StampKind) (out []byte, when uint64) {
	t.Helper()
	out = slices.Clone(b)
	body := out[headers:]
	var at, end int
	switch kind {
	case blast.StampWSK:
		at, end = 12, 18
		when = binary.BigEndian.Uint64(body[10:]) & stamp.Mask
	case blast.StampPktgen:
		at, end = 8, 16
		when = binary.BigEndian.Uint64(body[8:])
	default:
		return out, 0
	}
	clear(body[at:end])
	clear(out[headers-2 : headers])
	return out, when
}

// capture sends n frames, and returns them as they arrived. It sends again where the veth had no room for one, because the machine is busy.
func capture(t *testing.T, l *testenv.Lab, p frames.Plan, n uint64) (*Sender, blast.Result, []testenv.Frame) {
	t.Helper()
	for range 20 {
		capture := testenv.NewCaptureT(t, l.B.If, testenv.CaptureOptions{IncomingOnly: true})
		s := open(t, l, blast.Config{Count: n, Batch: 32}, p, Options{})
		res, err := s.Run(t.Context(), nil)
		if err != nil || res.Submitted != n || res.Completed+res.Failed != n {
			t.Fatalf("%+v, %v", res, err)
		}
		if res.Failed > 0 {
			continue
		}
		got, err := capture.WaitN(testenv.Context(t, time.Minute), int(n), func(f testenv.Frame) bool { return bytes.Equal(f.Data[6:12], p.Header.SrcMAC[:]) })
		if err != nil {
			t.Fatal(err)
		}
		return s, res, got
	}
	t.Fatal("the veth never had room for all frames")
	return nil, blast.Result{}, nil
}

// What leaves is what engine frames would send, byte for byte but for the time, and every checksum is right.
func TestFramesAreThoseOfFrames(t *testing.T) {
	l := lab(t, true)
	for _, c := range []struct {
		is4    bool
		flows  uint64
		seed   uint64
		tags   []frame.VLANTag
		stamp  blast.StampKind
		random bool
		sizes  []int
	}{
		{true, 1, 0, nil, blast.StampWSK, false, []int{18}},
		{true, 7, 0, nil, blast.StampWSK, false, []int{18, 119, 40, 120}},
		{true, 600, 7, nil, blast.StampWSK, false, []int{18, 19}},
		{true, 1500, 3, nil, blast.StampWSK, true, []int{1472}},
		{true, frames.MaxFlows, 0, nil, blast.StampWSK, true, []int{18, 1472}},
		{true, frames.MaxFlows, 99, nil, blast.StampPktgen, true, []int{18}},
		{true, 3, 0, []frame.VLANTag{{ID: 1}, {ID: 4094, PCP: 7}}, blast.StampPktgen, false, []int{16, 17}},
		{true, 3, 0, nil, blast.StampNone, false, []int{0, 1, 2, 3, 55, 1471}},
		{false, 3, 0, []frame.VLANTag{{ID: 42, PCP: 5}}, blast.StampWSK, false, []int{18, 119, 40, 120}},
		{false, 900, 9, nil, blast.StampNone, false, []int{0, 7}},
		{false, frames.MaxFlows, 1 << 60, nil, blast.StampWSK, false, []int{18, 1452}},
		{false, 40, 5, []frame.VLANTag{{ID: 1}, {ID: 4094}}, blast.StampPktgen, true, []int{100}},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			const n = 1300
			p := plan(t, c.is4, c.flows)
			p.Payload = bytes.Repeat([]byte{0xa5, 3, 0xff, 0, 0x17}, 300)[:slices.Max(c.sizes)]
			p.Space.Seed, p.Header.VLANs, p.Stamp, p.Random, p.Sizes = c.seed, c.tags, c.stamp, c.random, c.sizes
			before, wall := p.Clock.Now(), time.Now()
			s, res, got := capture(t, l, p, n)
			after := p.Clock.Now()
			maker, err := frames.NewMaker(p)
			if err != nil {
				t.Fatal(err)
			}
			first, _ := p.Template(0)
			chunk, payload := make([]byte, 2048), uint64(0)
			for i, f := range got {
				length, size := maker.Put(chunk, wall)
				payload += uint64(size)
				if _, err := testenv.Decode(f.Data); err != nil {
					t.Fatalf("frame %d: %v: %x", i, err, f.Data)
				}
				want, _ := timeless(t, chunk[:length], first.HeaderLen(), c.stamp)
				have, when := timeless(t, f.Data, first.HeaderLen(), c.stamp)
				if !bytes.Equal(have, want) {
					t.Fatalf("frame %d is\n%x, want\n%x", i, have, want)
				}
				switch c.stamp {
				case blast.StampWSK:
					if stamp.Since(when, before) == 0 || stamp.Since(after, when) == 0 {
						t.Fatalf("frame %d was sent at %d, between %d and %d", i, when, before, after)
					}
				case blast.StampPktgen:
					if d := time.Unix(int64(when>>32), int64(when&0xffffffff)*1000).Sub(wall); d < -time.Second || d > time.Minute {
						t.Fatalf("frame %d was sent %v after the beginning", i, d)
					}
				}
			}
			sent, err := s.Sent()
			if err != nil || c.stamp != blast.StampNone && !slices.Equal(sent, maker.Sent()) || res.Payload != payload {
				t.Errorf("%v: numbers %v, want %v; %d bytes of payload, want %d", err, sent, maker.Sent(), res.Payload, payload)
			}
		})
	}
}
