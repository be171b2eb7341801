// SPDX-License-Identifier: Apache-2.0

package account

import (
	"sync"
	"time"
)

// Fate is what the sender was told about a datagram.
type Fate uint8

// Fates.
const (
	// Pending: nothing yet.
	Pending Fate = iota
	// Sent: it has left, says the sender's side.
	Sent
	// Refused: it was not sent. It must not arrive.
	Refused
	// Open: it failed and may have left all the same: cancelled, or given up when its device went.
	Open
)

// entry is one datagram. A code is an NTSTATUS or an errno.
type entry struct {
	fate  Fate
	code  uint32
	times uint8 // how often its end was told
	begun time.Time
}

// Book is what one sender knows of each datagram of a flow. It may be used concurrently.
type Book struct {
	// Flow is the number in the tags.
	Flow uint32
	// Name gives a code in words.
	Name func(code uint32) string
	// Tell, if set, is called for each datagram that begins (Pending) or ends, one at a time.
	Tell func(seq uint64, fate Fate, code uint32)

	mu         sync.Mutex
	entries    []entry
	oldest     uint64 // see Oldest
	complaints []Problem
	pending    int
	lastEnd    time.Time
	longest    time.Duration // see LongestWait
	change     chan struct{}
}

// NewBook returns an empty book.
func NewBook(flow uint32, name func(code uint32) string) *Book {
	return &Book{Flow: flow, Name: name, change: make(chan struct{}, 1)}
}

// Begin opens the entry of the next datagram and returns its sequence number.
func (b *Book) Begin() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = append(b.entries, entry{begun: time.Now()})
	b.pending++
	seq := uint64(len(b.entries) - 1)
	if b.Tell != nil {
		b.Tell(seq, Pending, 0)
	}
	return seq
}

// End notes what became of a datagram.
func (b *Book) End(seq uint64, fate Fate, code uint32) {
	b.mu.Lock()
	e := &b.entries[seq]
	if b.Tell != nil {
		b.Tell(seq, fate, code)
	}
	if e.times++; e.times == 1 {
		e.fate, e.code = fate, code
		b.pending--
		b.lastEnd = time.Now()
		b.longest = max(b.longest, b.lastEnd.Sub(e.begun))
	}
	b.mu.Unlock()
	select {
	case b.change <- struct{}{}:
	default:
	}
}

// Complain notes what is wrong with how a datagram ended. It counts as unexplained.
func (b *Book) Complain(seq uint64, what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, Problem{seq, what})
}

// Len is the number of datagrams begun.
func (b *Book) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries)
}

// Oldest is the number of the first datagram that has not ended, and of the next one to begin where all have.
func (b *Book) Oldest() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.oldest < uint64(len(b.entries)) && b.entries[b.oldest].times != 0 {
		b.oldest++
	}
	return b.oldest
}

// Pending is the number of datagrams that have not ended.
func (b *Book) Pending() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pending
}

// LongestWait is the longest that a datagram which has ended was pending.
func (b *Book) LongestWait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.longest
}

// AwaitEnd waits until nothing is pending, at most until the deadline, and returns what still is.
func (b *Book) AwaitEnd(deadline <-chan time.Time) int {
	for {
		n := b.Pending()
		if n == 0 {
			return 0
		}
		select {
		case <-b.change:
		case <-deadline:
			return b.Pending()
		}
	}
}

// GiveUp ends all that is pending: whoever would have told of it is gone.
func (b *Book) GiveUp(code uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.entries {
		if e := &b.entries[i]; e.times == 0 {
			*e = entry{fate: Open, code: code, times: 1}
			b.pending--
		}
	}
}

// Codes counts the datagrams from a sequence number on by fate and code.
func (b *Book) Codes(from uint64) map[Fate]map[uint32]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[Fate]map[uint32]int)
	for _, e := range b.entries[min(from, uint64(len(b.entries))):] {
		if out[e.fate] == nil {
			out[e.fate] = make(map[uint32]int)
		}
		out[e.fate][e.code]++
	}
	return out
}

// snapshot copies for the judge.
func (b *Book) snapshot() ([]entry, []Problem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]entry(nil), b.entries...), append([]Problem(nil), b.complaints...)
}
