// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"fmt"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/account"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// Bounds of what a Sink keeps.
const (
	MaxRuns     = 64       // at once; those that have ended stay for the report, as many again
	WindowBytes = 64 << 20 // all windows of all runs
)

// Verify is what is looked at in a datagram. It implements pflag.Value.
type Verify uint8

// What to look at: the payload where a peer has said what it is, else the number; the number; nothing.
const (
	VerifyPayload Verify = iota
	VerifySequence
	VerifyNothing
)

var verifyNames = [...]string{VerifyPayload: "payload", VerifySequence: "seq", VerifyNothing: "none"}

// String is the word on the command line.
func (v Verify) String() string { return verifyNames[v] }

// Type names the form in help texts.
func (v *Verify) Type() string { return "payload|seq|none" }

// Set parses the word.
func (v *Verify) Set(s string) error {
	for i, name := range verifyNames {
		if s == name {
			*v = Verify(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of payload, seq, none", s)
}

// Sink accounts for datagrams. Engines hand them over in batches; its methods are safe for concurrent use.
type Sink struct {
	window int
	verify Verify
	clock  stamp.Clock

	mu     sync.Mutex
	now    time.Time // of the batch
	time   uint64    // the same in the clock of stamps
	budget account.Budget
	runs   map[uint16]*run // those that go on
	ended  []*run
	counts Totals
}

// Totals are all datagrams that came.
type Totals struct {
	Packets, Bytes uint64
	// Foreign are those that are of no run.
	Foreign uint64
}

// NewSink makes a sink whose windows are of so many numbers, a multiple of 64.
func NewSink(window int, verify Verify) (*Sink, error) {
	clock, err := stamp.NewClock()
	if err != nil {
		return nil, err
	}
	return &Sink{
		window: window, verify: verify, clock: clock, budget: account.Budget{Bytes: WindowBytes}, runs: map[uint16]*run{},
	}, nil
}

// Batch takes datagrams that have just been read. each calls its argument with the beginning of each, and its length.
func (s *Sink) Batch(each func(take func(b []byte, length int))) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = time.Now()
	s.time = s.clock.At(s.now)
	each(s.take)
}

// take takes one datagram. The mutex is held.
func (s *Sink) take(b []byte, length int) {
	s.counts.Packets++
	s.counts.Bytes += uint64(length)
	if s.verify == VerifyNothing {
		return
	}
	st, ok := stamp.Parse(b)
	if !ok {
		s.counts.Foreign++
		return
	}
	r := s.runs[st.Run]
	if r == nil {
		if r = s.begin(st.Run, nil); r == nil {
			s.counts.Foreign++
			return
		}
	}
	if r.packets == 0 {
		r.first = s.now
	}
	r.packets++
	r.last = s.now
	if h := r.hello; h != nil && (length < h.Smallest || length > h.Largest || s.verify == VerifyPayload && !h.holds(b, length)) {
		r.account.Corrupt()
		return
	}
	// An announced run has its memory before those that anybody begins.
	if !r.account.Take(&st) && (r.hello == nil || !s.evict() || !r.account.Take(&st)) {
		r.account.Refuse()
		return
	}
	if r.delay != nil {
		r.record(stamp.Since(s.time, st.Time))
	}
}

// begin makes a run, announced by hello or, where that is nil, by its first datagram. It returns nil where there are too
// many. The mutex is held.
func (s *Sink) begin(id uint16, hello *announced) *run {
	if len(s.runs) >= MaxRuns && (hello == nil || !s.evict()) {
		return nil
	}
	r := &run{id: id, hello: hello, account: account.NewRun(s.window, &s.budget), begun: time.Now(), foreign: s.counts.Foreign}
	if hello != nil && hello.shared {
		r.delay = newDelay()
	}
	s.runs[id] = r
	return r
}

// evict ends the run that nobody has announced and of which nothing has come for longest: what anybody can begin by a
// datagram takes no room from a run that is announced. The mutex is held.
func (s *Sink) evict() bool {
	var oldest *run
	for _, r := range s.runs {
		if r.hello == nil && (oldest == nil || r.last.Before(oldest.last)) {
			oldest = r
		}
	}
	if oldest == nil {
		return false
	}
	s.finish(oldest, nil)
	return true
}

// end ends a run, if it goes on: its counts stay, its windows go. sent is how many numbers there were of each stream.
func (s *Sink) end(r *run, sent []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs[r.id] == r {
		s.finish(r, sent)
	}
}

// finish is end with the mutex held, of a run that goes on.
func (s *Sink) finish(r *run, sent []uint64) {
	r.foreign = s.counts.Foreign - r.foreign
	r.sent = sent
	r.final, r.over = r.account.Release(sent), true
	delete(s.runs, r.id)
	if len(s.ended) == MaxRuns {
		s.ended = append(s.ended[:0], s.ended[1:]...) // the oldest is forgotten
	}
	s.ended = append(s.ended, r)
}

// Totals are all datagrams so far.
func (s *Sink) Totals() Totals {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Counts sums up all runs, those that have ended too.
func (s *Sink) Counts() (c account.Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.ended {
		c.Add(r.final)
	}
	for _, r := range s.runs {
		c.Add(r.account.Counts(nil))
	}
	return c
}
