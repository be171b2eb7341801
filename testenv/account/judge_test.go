// SPDX-License-Identifier: Apache-2.0

package account

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const run = 0x1122334455667788

func name(code uint32) string { return fmt.Sprintf("code %d", code) }

// story is a flow of ten datagrams, all sent and all arrived in order.
type story struct {
	book *Book
	got  *Arrivals
	ev   Evidence
}

func newStory(deliver func(seq uint64) int) *story {
	s := &story{NewBook(3, name), NewArrivals(run), Evidence{Drops: map[Key]string{}}}
	for range 10 {
		seq := s.book.Begin()
		s.book.End(seq, Sent, 0)
		for range deliver(seq) {
			s.got.Take(Tag{run, 3, seq}.Append(nil, 100))
		}
	}
	return s
}

func (s *story) judge() Verdict { return Judge(s.book, s.got, &s.ev) }

func once(uint64) int { return 1 }

func without(seqs ...uint64) func(uint64) int {
	return func(seq uint64) int {
		for _, s := range seqs {
			if s == seq {
				return 0
			}
		}
		return 1
	}
}

// TestJudge: each lie, and each excuse, is seen for what it is.
func TestJudge(t *testing.T) {
	for _, tc := range []struct {
		name        string
		story       func() *story
		unexplained int
		says        string // part of the first problem
		explained   string
		check       func(Verdict) bool
	}{
		{name: "all well", story: func() *story { return newStory(once) },
			check: func(v Verdict) bool {
				return v.Sent == 10 && v.OK == 10 && v.Arrived == 10 && v.Reordered == 0 && v.Pending == 0
			}},
		{name: "one lost", story: func() *story { return newStory(without(4)) }, unexplained: 1, says: "nobody dropped it",
			check: func(v Verdict) bool { return v.Problems[0].Seq == 4 && v.Arrived == 9 }},
		{name: "lost, told by the kernel", story: func() *story {
			s := newStory(without(4))
			s.ev.Drops[Key{3, 4}] = "kernel: SOCKET_RCVBUFF"
			return s
		}, explained: "1 kernel: SOCKET_RCVBUFF"},
		{name: "another datagram told", story: func() *story {
			s := newStory(without(4))
			s.ev.Drops[Key{3, 5}] = "kernel: SOCKET_RCVBUFF"
			return s
		}, unexplained: 1, says: "nobody dropped it"},
		{name: "another flow told", story: func() *story {
			s := newStory(without(4))
			s.ev.Drops[Key{4, 4}] = "kernel: SOCKET_RCVBUFF"
			return s
		}, unexplained: 1, says: "nobody dropped it"},
		{name: "a counter for two of three", story: func() *story {
			s := newStory(without(1, 2, 9))
			s.ev.Counters = []Counter{{Name: "nothing"}, {Name: "RcvbufErrors", Moved: 2, Told: true}}
			return s
		}, unexplained: 1, explained: "2 RcvbufErrors", check: func(v Verdict) bool { return v.Problems[0].Seq == 9 }},
		{name: "a counter whose drops are all told", story: func() *story {
			s := newStory(without(1))
			s.ev.Counters, s.ev.Complete = []Counter{{Name: "RcvbufErrors", Moved: 2, Told: true}}, true
			return s
		}, unexplained: 1},
		{name: "a counter that is not told", story: func() *story {
			s := newStory(without(1, 2))
			s.ev.Counters, s.ev.Complete = []Counter{{Name: "a", Moved: 1}, {Name: "b", Moved: 9}}, true
			return s
		}, explained: "1 a, 1 b", check: func(v Verdict) bool { return v.ExplainedTotal() == 2 }},
		{name: "twice", story: func() *story { return newStory(func(seq uint64) int { return 1 + int(seq)/9 }) },
			unexplained: 1, says: "arrived 2 times"},
		{name: "ended twice", story: func() *story {
			s := newStory(once)
			s.book.End(4, Refused, 7)
			return s
		}, unexplained: 1, says: "ended 2 times", check: func(v Verdict) bool { return v.OK == 10 && len(v.Failed) == 0 }},
		{name: "refused and arrived", story: func() *story {
			s := newStory(once)
			seq := s.book.Begin()
			s.book.End(seq, Refused, 7)
			s.got.Take(Tag{run, 3, seq}.Append(nil, TagLen))
			return s
		}, unexplained: 1, says: "though it ended with code 7"},
		{name: "refused and missing", story: func() *story {
			s := newStory(once)
			s.book.End(s.book.Begin(), Refused, 7)
			return s
		}, check: func(v Verdict) bool { return v.Failed["code 7"] == 1 && v.Sent == 11 && v.OK == 10 }},
		{name: "open, one arrived", story: func() *story {
			s := newStory(once)
			for range 2 {
				s.book.End(s.book.Begin(), Open, 9)
			}
			s.got.Take(Tag{run, 3, 10}.Append(nil, TagLen))
			return s
		}, check: func(v Verdict) bool { return v.Failed["code 9"] == 2 && v.OpenArrived == 1 }},
		{name: "pending", story: func() *story {
			s := newStory(once)
			s.book.Begin()
			return s
		}, check: func(v Verdict) bool { return v.Pending == 1 }},
		{name: "never sent", story: func() *story {
			s := newStory(once)
			s.got.Take(Tag{run, 3, 12}.Append(nil, 50))
			return s
		}, unexplained: 1, says: "never sent"},
		{name: "a number out of all reason", story: func() *story {
			s := newStory(once)
			s.got.Take(Tag{run, 3, 1 << 60}.Append(nil, 50))
			return s
		}, unexplained: 1, says: "never sent"},
		{name: "changed", story: func() *story {
			s := newStory(once)
			b := Tag{run, 3, 4}.Append(nil, 50)
			b[49] ^= 1
			s.got.Take(b)
			return s
		}, unexplained: 1, says: "changed"},
		{name: "another run and another flow", story: func() *story {
			s := newStory(once)
			s.got.Take(Tag{run + 1, 3, 4}.Append(nil, 50))
			s.got.Take(Tag{run, 4, 4}.Append(nil, 50))
			s.got.Take([]byte("short"))
			return s
		}},
		{name: "a complaint", story: func() *story {
			s := newStory(once)
			s.book.Complain(5, "Information 7")
			return s
		}, unexplained: 1, says: "Information 7"},
		{name: "out of order", story: func() *story {
			s := newStory(without(4))
			s.got.Take(Tag{run, 3, 4}.Append(nil, 50))
			return s
		}, check: func(v Verdict) bool { return v.Reordered == 1 }},
	} {
		v := tc.story().judge()
		if v.Unexplained != tc.unexplained || len(v.Problems) != tc.unexplained {
			t.Errorf("%s: %d unexplained (%v), want %d", tc.name, v.Unexplained, v.Problems, tc.unexplained)
			continue
		}
		if tc.unexplained > 0 && !strings.Contains(v.Problems[0].What, tc.says) {
			t.Errorf("%s: %q does not say %q", tc.name, v.Problems[0].What, tc.says)
		}
		if got := Tally(v.Explained); got != tc.explained {
			t.Errorf("%s: explained by %q, want %q", tc.name, got, tc.explained)
		}
		if tc.check != nil && !tc.check(v) {
			t.Errorf("%s: %+v", tc.name, v)
		}
	}
}

// Counters are used up over the flows that are judged.
func TestCountersAreShared(t *testing.T) {
	ev := Evidence{Counters: []Counter{{Name: "ring", Moved: 1}}}
	first, second := newStory(without(1)), newStory(without(2))
	if v := Judge(first.book, first.got, &ev); v.Unexplained != 0 {
		t.Errorf("first: %+v", v)
	}
	if v := Judge(second.book, second.got, &ev); v.Unexplained != 1 {
		t.Errorf("one step of a counter explained two: %+v", v)
	}
}

func TestManyProblems(t *testing.T) {
	s := &story{NewBook(3, name), NewArrivals(run), Evidence{}}
	for range 100 {
		s.book.End(s.book.Begin(), Sent, 0)
	}
	if v := s.judge(); v.Unexplained != 100 || len(v.Problems) != mostProblems {
		t.Errorf("%d unexplained, %d listed", v.Unexplained, len(v.Problems))
	}
}

// TestTag: any bit of a payload matters, and any cut.
func TestTag(t *testing.T) {
	for _, length := range []int{TagLen, TagLen + 1, 1472} {
		tag := Tag{run, 7, 123456}
		b := tag.Append([]byte("before"), length)
		if !bytes.HasPrefix(b, []byte("before")) || len(b) != 6+length {
			t.Fatalf("%d bytes", len(b))
		}
		b = b[6:]
		if got, err := ParseTag(b, run); err != nil || got != tag {
			t.Fatalf("%+v, %v", got, err)
		}
		for bit := range 8 * length {
			b[bit/8] ^= 1 << (bit % 8)
			want := ErrDamaged
			if bit < 64 {
				want = ErrForeign
			}
			if _, err := ParseTag(b, run); !errors.Is(err, want) {
				t.Fatalf("bit %d of %d turned: %v", bit, length, err)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
		for n := range length {
			if _, err := ParseTag(b[:n], run); err == nil {
				t.Fatalf("cut to %d of %d", n, length)
			}
		}
	}
}

func TestBookAwait(t *testing.T) {
	b := NewBook(1, name)
	seq := b.Begin()
	expired := make(chan time.Time)
	close(expired)
	if n := b.AwaitEnd(expired); n != 1 {
		t.Errorf("%d pending", n)
	}
	go b.End(seq, Sent, 0)
	if n := b.AwaitEnd(time.After(time.Minute)); n != 0 {
		t.Errorf("%d pending", n)
	}
	b.End(b.Begin(), Refused, 5)
	if c := b.Codes(1); len(c) != 1 || c[Refused][5] != 1 {
		t.Errorf("codes from 1: %v", c)
	}
}
