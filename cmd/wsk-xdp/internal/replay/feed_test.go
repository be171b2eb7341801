// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// burst is how many frames leave at once at most.
const burst = 64

// feed is one of a file, which is closed with the test.
func feed(t *testing.T, data []byte, rules *Rules, rounds, limit uint64) (*Feed, uint64) {
	t.Helper()
	f := survey(t, data, rules, limit)
	total := f.Total(rounds, limit)
	out := NewFeed(bytes.NewReader(data), f, rules, total)
	t.Cleanup(out.Close)
	return out, total
}

// Every frame leaves once in each round, byte for byte and in order, through files of more than all blocks hold.
func TestFramesAreThoseOfTheFile(t *testing.T) {
	from, to := frame.MAC{2, 9}, frame.MAC{2, 8}
	large, small := regular(5000, 100), regular(3, 0)
	for i := range 2 * blockFrames {
		small = append(small, entry{data: frameOf(i, 14)})
	}
	for _, c := range []struct {
		name          string
		entries       []entry
		rules         Rules
		rounds, limit uint64
	}{
		{"large", large, Rules{MTU: 1500}, 1, 0},
		{"rounds", large[:100], Rules{MTU: 1500}, 7, 0},
		{"limit", large, Rules{MTU: 1500}, 0, 12_345},
		{"less than a round", large, Rules{MTU: 1500}, 3, 17},
		{"left out", large, Rules{MTU: 500}, 2, 0},
		{"other MACs", large[:50], Rules{MTU: 1500, Source: &from, Destination: &to}, 2, 0},
		{"many small", small, Rules{MTU: 1500}, 2, 0},
		{"one", large[9:10], Rules{MTU: 1500}, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want [][]byte
			for _, e := range c.entries {
				if len(e.data) > c.rules.MTU+14 {
					continue
				}
				one := bytes.Clone(e.data)
				c.rules.rewrite(one)
				want = append(want, one)
			}
			sent := 0
			k, err := xdptest.New(xdptest.Config{TxChunks: 7, TxRing: 8, OnSend: func(got []byte) {
				if one := want[sent%len(want)]; !bytes.Equal(got, one) {
					t.Fatalf("frame %d is % x, want % x", sent, got[:14], one[:14])
				}
				sent++
			}})
			if err != nil {
				t.Fatal(err)
			}
			f, total := feed(t, file(t, layers.LinkTypeEthernet, c.entries...), &c.rules, c.rounds, c.limit)
			res, err := frames.Run(t.Context(), blast.Config{Count: total, Batch: burst, Drain: time.Minute}, k, f)
			if err != nil || uint64(sent) != total || res.Completed != total || res.Unfinished != 0 {
				t.Errorf("%d of %d were sent: %+v, %v", sent, total, res, err)
			}
			if g := f.Gaps(); (g == nil) != (total < 2) || g != nil && (g.Asked != nil || g.Late != nil) {
				t.Errorf("%+v", g)
			}
		})
	}
}

// No frame leaves before its time, whatever the machine; the gaps of the file are stated as they are.
func TestAsCaptured(t *testing.T) {
	entries := []entry{{data: frameOf(0, 60)}}
	at := time.Duration(0)
	for i := range 40 {
		at += []time.Duration{time.Millisecond, 0, 3 * time.Millisecond, 200 * time.Microsecond}[i%4]
		entries = append(entries, entry{at: at, data: frameOf(i+1, 60)})
	}
	entries = append(entries, entry{at: at - 5*time.Millisecond, data: frameOf(99, 60)}) // before the others, and so at once
	sent := 0
	var begun time.Time
	k, err := xdptest.New(xdptest.Config{OnSend: func(got []byte) {
		due := entries[sent].at
		if sent == len(entries)-1 {
			due = at
		}
		if since := time.Since(begun); since < due || !bytes.Equal(got, entries[sent].data) {
			t.Errorf("frame %d left %v after the beginning, due at %v", sent, since, due)
		}
		sent++
	}})
	if err != nil {
		t.Fatal(err)
	}
	f, total := feed(t, file(t, layers.LinkTypeEthernet, entries...), &Rules{MTU: 1500}, 1, 0)
	begun = time.Now()
	res, err := frames.Run(t.Context(), blast.Config{Count: total, Batch: burst, Drain: time.Minute}, k, AsCaptured{f})
	if err != nil || sent != len(entries) || res.Completed != total || res.Sending < at {
		t.Errorf("%d sent in %v, the file is of %v: %+v, %v", sent, res.Sending, at, res, err)
	}
	g := f.Gaps()
	if g == nil || g.Asked == nil || g.Late == nil || g.Asked.Max < 2_990_000 || g.Asked.Max > 3_010_000 || g.Asked.P50 != 200_000 && (g.Asked.P50 < 199_000 ||
		g.Asked.P50 > 201_000) || g.Late.Max < g.Late.P99 || g.Reached.Max < g.Asked.Max-g.Late.Max-10_000 {
		t.Errorf("%+v", g)
	}
}

// A schedule gives what is due and no more, and says how long it is until the next frame, through rounds whose pause is
// the mean gap.
func TestSchedule(t *testing.T) {
	f, _ := feed(t, file(t, layers.LinkTypeEthernet, regular(3, 10)...), &Rules{MTU: 1500}, 2, 0)
	s := AsCaptured{f}.Schedule(time.Now())
	chunk := make([]byte, MaxFrame)
	elapsed, sent := time.Duration(-1), 0
	for _, due := range []time.Duration{0, 10, 20, 30, 40, 50} {
		if wait := s.Wait(elapsed, 1); wait != due-elapsed {
			t.Fatalf("at %v: %v to wait for what is due at %v", elapsed, wait, due)
		}
		for _, at := range []time.Duration{due - 1, due, due} {
			n, err := f.Ready(64)
			if err != nil {
				t.Fatal(err)
			}
			for range s.Take(at, n) {
				f.Put(chunk, time.Now())
				sent++
			}
			if want := int(due/10) + map[bool]int{true: 1}[at >= due]; sent != want {
				t.Fatalf("at %v %d were due, want %d", at, sent, want)
			}
		}
		elapsed = due
	}
	if n, err := f.Ready(1); n != 0 || err != nil || s.Wait(elapsed, 1) != 0 || s.Forfeited() != 0 {
		t.Errorf("behind the end: %d, %v", n, err)
	}
	if got := sum(math.MaxInt64-1, 5); got != math.MaxInt64 {
		t.Errorf("times of for ever come to %v", got)
	}
}

// At a speed everything is so many times as fast, the pause between rounds too.
func TestSpeed(t *testing.T) {
	data := file(t, layers.LinkTypeEthernet, regular(3, 10)...)
	seen, err := Survey(t.Context(), bytes.NewReader(data), &Rules{MTU: 1500}, 0, 2_500_000, func(uint64) {})
	if err != nil || seen.Span != 20 || seen.Lasts() != 8 || seen.Pause() != 10 {
		t.Fatalf("%+v, %v", seen, err)
	}
	f := NewFeed(bytes.NewReader(data), seen, &Rules{MTU: 1500}, 6)
	defer f.Close()
	s := AsCaptured{f}.Schedule(time.Now())
	chunk := make([]byte, MaxFrame)
	for i, due := range []time.Duration{0, 4, 8, 12, 16, 20} {
		if wait := s.Wait(-1, 1); wait != due+1 {
			t.Errorf("frame %d is due at %v, want %v", i, wait-1, due)
		}
		if n, err := f.Ready(1); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		f.Put(chunk, time.Now())
	}
	// Twice as fast may be a flood where the file is none.
	slow := file(t, layers.LinkTypeEthernet, regular(3000, 10_100)...)
	for speed, flood := range map[units.Factor]bool{0: false, 1_000_000: false, 2_000_000: true} {
		seen, err := Survey(t.Context(), bytes.NewReader(slow), &Rules{MTU: 1500}, 0, speed, func(uint64) {})
		if all, _ := seen.Flood(1); err != nil || all != flood {
			t.Errorf("%v times as fast: a flood %v, %v", speed, all, err)
		}
	}
}

// A file that is another than was surveyed ends the run with an error, and nothing of it is sent that was not looked at.
func TestChangedFile(t *testing.T) {
	data := file(t, layers.LinkTypeEthernet, regular(100, 1)...)
	for name, change := range map[string]func() []byte{
		"shorter": func() []byte { return data[:len(data)/2] },
		"empty":   func() []byte { return nil },
		"longer frames": func() []byte {
			longer := regular(100, 1)
			longer[50].data = frameOf(50, 1514)
			return file(t, layers.LinkTypeEthernet, longer...)
		},
		"another link": func() []byte { return file(t, layers.LinkTypeLinuxSLL, regular(100, 1)...) },
	} {
		seen := survey(t, data, &Rules{MTU: 1500}, 0)
		seen.Largest = 1500
		f := NewFeed(bytes.NewReader(change()), seen, &Rules{MTU: 1500}, 0)
		k, err := xdptest.New(xdptest.Config{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = frames.Run(t.Context(), blast.Config{Count: 100, Batch: burst, Drain: time.Minute}, k, f)
		if f.Close(); !errors.Is(err, errChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A feed can be closed at any time.
func TestCloseFeed(t *testing.T) {
	data := file(t, layers.LinkTypeEthernet, regular(5000, 1)...)
	for i := range 5 {
		seen := survey(t, data, &Rules{MTU: 1500}, 0)
		f := NewFeed(bytes.NewReader(data), seen, &Rules{MTU: 1500}, 0)
		chunk := make([]byte, MaxFrame)
		for range i * 1000 {
			if n, err := f.Ready(1); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			f.Put(chunk, time.Now())
		}
		f.Close()
	}
}

// The way of a frame costs no allocation.
func TestFeedingAllocatesNothing(t *testing.T) {
	data := file(t, layers.LinkTypeEthernet, regular(50, 1)...)
	f, _ := feed(t, data, &Rules{MTU: 1500}, 0, 0)
	chunk, now := make([]byte, MaxFrame), time.Now()
	if allocs := testing.AllocsPerRun(3*blockFrames, func() {
		if n, err := f.Ready(1); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		f.Put(chunk, now)
	}); allocs > 0 {
		t.Errorf("%v allocations for a frame", allocs)
	}
}
