// SPDX-License-Identifier: Apache-2.0

package account

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Counter says that somebody has dropped so many.
type Counter struct {
	Name  string
	Moved uint64
	// Told says that the kernel also tells of each such drop with the datagram in it. Where it was listened to without a
	// gap, the counter explains nothing more.
	Told bool
}

// Evidence is what others than sender and receiver say.
type Evidence struct {
	// Drops are datagrams that the kernel told to have dropped, by flow and sequence number, and why.
	Drops map[Key]string
	// Complete says that every drop of the kernel's was told.
	Complete bool
	// Counters are those that moved, the most telling first.
	Counters []Counter
}

// Key names a datagram of a run.
type Key struct {
	Flow uint32
	Seq  uint64
}

// Problem is a datagram that nothing explains.
type Problem struct {
	Seq  uint64
	What string
}

// Verdict is the account of a flow.
type Verdict struct {
	Sent      int // begun
	OK        int // ended with success
	Failed    map[string]int
	Pending   int
	Arrived   int // different ones
	Reordered int // that came behind a later one
	// OpenArrived of those that failed without saying whether they had left did arrive.
	OpenArrived int
	// Explained are the missing, by who says that he dropped them.
	Explained map[string]int
	// Unexplained is how many nothing explains, Problems the first of them.
	Unexplained int
	Problems    []Problem
}

// mostProblems bounds the list of a verdict.
const mostProblems = 20

// Judge holds a sender's book against what arrived. Counters are used up: each step explains one datagram, of whatever flow is
// judged first.
func Judge(book *Book, arrivals *Arrivals, ev *Evidence) Verdict {
	entries, complaints := book.snapshot()
	got := arrivals.snapshot(book.Flow)
	v := Verdict{Sent: len(entries), Failed: make(map[string]int), Explained: make(map[string]int), Reordered: got.reordered}
	for seq, e := range entries {
		v.judge(book, &e, uint64(seq), got.count(uint64(seq)), ev)
	}
	for _, c := range complaints {
		v.problem(c.Seq, c.What)
	}
	for seq := len(entries); seq < len(got.times); seq++ {
		if got.times[seq] > 0 {
			v.problem(uint64(seq), "arrived, but was never sent")
		}
	}
	for range got.damaged {
		v.problem(0, "arrived changed")
	}
	for range got.beyond {
		v.problem(0, "arrived with a number that was never sent")
	}
	return v
}

func (f *arrived) count(seq uint64) uint8 {
	if seq < uint64(len(f.times)) {
		return f.times[seq]
	}
	return 0
}

func (v *Verdict) judge(book *Book, e *entry, seq uint64, times uint8, ev *Evidence) {
	if times > 0 {
		v.Arrived++
	}
	if times > 1 {
		v.problem(seq, fmt.Sprintf("arrived %d times", times))
	}
	if e.times > 1 {
		v.problem(seq, fmt.Sprintf("ended %d times", e.times))
	}
	switch e.fate {
	case Pending:
		v.Pending++
	case Sent:
		v.OK++
		if times == 0 {
			v.missing(seq, book.Flow, ev)
		}
	case Refused:
		v.Failed[book.Name(e.code)]++
		if times > 0 {
			v.problem(seq, "arrived, though it ended with "+book.Name(e.code))
		}
	case Open:
		v.Failed[book.Name(e.code)]++
		if times > 0 {
			v.OpenArrived++
		}
	}
}

func (v *Verdict) missing(seq uint64, flow uint32, ev *Evidence) {
	if why, ok := ev.Drops[Key{flow, seq}]; ok {
		v.Explained[why]++
		return
	}
	for i := range ev.Counters {
		c := &ev.Counters[i]
		if c.Moved == 0 || c.Told && ev.Complete {
			continue
		}
		c.Moved--
		v.Explained[c.Name]++
		return
	}
	v.problem(seq, "sent, but did not arrive, and nobody dropped it")
}

func (v *Verdict) problem(seq uint64, what string) {
	v.Unexplained++
	if len(v.Problems) < mostProblems {
		v.Problems = append(v.Problems, Problem{seq, what})
	}
}

// ExplainedTotal is how many of the missing somebody has dropped.
func (v *Verdict) ExplainedTotal() (n int) {
	for _, k := range v.Explained {
		n += k
	}
	return n
}

// Tally gives counts by name in one line, the largest first.
func Tally(m map[string]int) string {
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if m[a] != m[b] {
			return m[b] - m[a]
		}
		return strings.Compare(a, b)
	})
	for i, n := range names {
		names[i] = fmt.Sprintf("%d %s", m[n], n)
	}
	return strings.Join(names, ", ")
}
