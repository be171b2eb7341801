// SPDX-License-Identifier: Apache-2.0

package account

import (
	"math/rand/v2"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

func TestClasses(t *testing.T) {
	s := NewStream(128)
	for _, n := range []uint64{0, 1, 2, 5, 3, 3, 4, 6, 300, 299, 173, 172, 300, 10, 1 << 40} {
		s.Take(n)
	}
	// 3, 4, 299 and 173 came behind higher ones, 173 by all that the window holds; 172 and 10 are behind it.
	want := Counts{Received: 10, Reordered: 4, Extent: 127, Duplicate: 2, Late: 2, Corrupt: 1, Numbers: 301, Lost: 289}
	if got := s.Counts(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	s.End(305)
	if got := s.Counts(); got.Numbers != 305 || got.Lost != 293 || !got.Balanced() || got.Arrived() != 15 {
		t.Errorf("%+v", got)
	}
}

// Beyond 2³² numbers, and beyond 2³² lost at once, the counts go on; nothing is negative.
func TestManyNumbers(t *testing.T) {
	s := NewStream(64)
	s.next = 1<<32 - 2
	s.counts.Received = s.next
	for n := s.next; n < 1<<32+1000; n++ {
		s.Take(n)
	}
	if got := s.Counts(); got.Lost != 0 || got.Received != 1<<32+1000 || got.Numbers != got.Received {
		t.Errorf("%+v", got)
	}
	s.Take(s.next + jump - 1)
	if got := s.Counts(); got.Lost != jump-1 || !got.Balanced() || got.Corrupt != 0 {
		t.Errorf("%+v", got)
	}
}

// model accounts with all the memory there is.
type model struct {
	seen   map[uint64]bool
	next   uint64
	counts Counts
}

func (m *model) take(n, window uint64) {
	switch {
	case n >= m.next:
		m.next = n + 1
		m.counts.Received++
		m.seen[n] = true
	case m.next-n > window:
		m.counts.Late++
	case m.seen[n]:
		m.counts.Duplicate++
	default:
		m.counts.Received++
		m.counts.Reordered++
		m.counts.Extent = max(m.counts.Extent, m.next-1-n)
		m.seen[n] = true
	}
}

// Whatever comes in whatever order, the bits know what a list of everything knows.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		const window = 192
		s, m := NewStream(window), &model{seen: map[uint64]bool{}}
		at := uint64(0)
		for range 2000 {
			switch random.IntN(10) {
			case 0:
				at += random.Uint64N(3 * window)
			case 1:
				at -= min(at, random.Uint64N(2*window))
			default:
				at++
			}
			s.Take(at)
			m.take(at, window)
		}
		m.counts.Numbers = m.next
		missing := m.next - m.counts.Received
		m.counts.Lost = missing - min(m.counts.Late, missing)
		if got := s.Counts(); got != m.counts {
			t.Fatalf("seed %d: %+v, want %+v", seed, got, m.counts)
		}
	}
}

// A run's streams are accounted for apart, those of which nothing came are lost, and memory has a bound.
func TestRun(t *testing.T) {
	budget := &Budget{2 * Bytes(64)}
	r := NewRun(64, budget)
	for n := range uint64(10) {
		r.Take(&stamp.Stamp{Stream: 5, Sequence: n})
		r.Take(&stamp.Stamp{Stream: 0, Sequence: 9 - n})
	}
	if r.Take(&stamp.Stamp{Stream: 7}) != NoRoom {
		t.Error("taken without memory")
	}
	r.Refuse()
	r.Corrupt()
	want := Counts{Received: 20, Reordered: 9, Extent: 9, Corrupt: 1, Refused: 1, Numbers: 33, Lost: 13}
	r.End([]uint64{11, 2, 0, 0, 0, 20})
	if got := r.Counts(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if r.Release(); r.Counts() != want || budget.Bytes != 2*Bytes(64) {
		t.Errorf("%+v; %d bytes are free", r.Counts(), budget.Bytes)
	}
	// What comes after that is late: of stream 0 one is missing, of stream 7 nothing was sent.
	for _, c := range []struct {
		stamp stamp.Stamp
		want  Class
	}{
		{stamp.Stamp{Sequence: 10}, Late}, {stamp.Stamp{Sequence: 10}, Late}, {stamp.Stamp{Sequence: 11}, Corrupt}, {stamp.Stamp{Stream: 7}, Corrupt},
	} {
		if got := r.Take(&c.stamp); got != c.want {
			t.Errorf("%+v is %d, want %d", c.stamp, got, c.want)
		}
	}
	want.Late, want.Lost, want.Corrupt = 2, 12, 3
	if got := r.Counts(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Numbers above those that were given out are corrupt, before the end is known and after it, in a stream that is opened
// after it too. The others are what they would be without them, as far as the window tells.
func TestEnd(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after []uint64
		want          Counts
	}{
		{"near", []uint64{0, 1, 2, 9, 10, 60}, []uint64{4, 3, 4, 5, 200, 9}, Counts{
			Received: 6, Reordered: 1, Extent: 1, Duplicate: 1, Corrupt: 5, Numbers: 6,
		}},
		{"far above the window", []uint64{0, 1, 1000, 1001}, []uint64{2, 1000}, Counts{Received: 2, Late: 1, Corrupt: 3, Numbers: 6, Lost: 3}},
		{"none of it", nil, []uint64{6, 5}, Counts{Received: 1, Corrupt: 1, Numbers: 6, Lost: 5}},
		{"as many as were sent", []uint64{0, 5}, nil, Counts{Received: 2, Numbers: 6, Lost: 4}},
	} {
		s := NewStream(64)
		for _, n := range c.before {
			s.Take(n)
		}
		s.End(6)
		for _, n := range c.after {
			s.Take(n)
		}
		got := s.Counts()
		if got != c.want || !got.Balanced() || got.Arrived() != uint64(len(c.before)+len(c.after)) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	s := NewStream(64)
	for n := range uint64(1000) { // more than the window knows
		s.Take(n)
	}
	s.End(10)
	if got := s.Counts(); got != (Counts{Received: 10, Corrupt: 990, Numbers: 10}) {
		t.Errorf("%+v", got)
	}
	r := NewRun(64, &Budget{Bytes(64)})
	r.End([]uint64{0, 3})
	r.Take(&stamp.Stamp{Stream: 1, Sequence: 3})
	if got := r.Counts(); got != (Counts{Corrupt: 1, Numbers: 3, Lost: 3}) {
		t.Errorf("%+v", got)
	}
}

func BenchmarkTake(b *testing.B) {
	s := NewStream(65536)
	for n := uint64(0); b.Loop(); n++ {
		s.Take(n)
	}
}
