// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/account"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// Bounds of what a Sink keeps.
const (
	MaxRuns     = 64       // at once; those that have ended stay for the report, as many again, and are summed up then
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
	gone   forgotten
	source source // nil where every datagram comes by Batch
}

// source accounts for datagrams that do not come by Batch. The sink's mutex is held when it is called.
type source interface {
	// look brings in what has come since the last call.
	look(*Sink)
	// account gives a run what accounts for it, or returns false where there is no room.
	account(*Sink, *run) bool
	// forget is told of a run that is not listed any more.
	forget(*Sink, *run)
}

// look brings in what a source has. The mutex is held.
func (s *Sink) look() {
	if s.source != nil {
		s.source.look(s)
	}
}

// forgotten is what is left of runs that had ended and made room for others: their sums.
type forgotten struct {
	runs   int
	counts account.Counts
}

// Totals are all datagrams that came.
type Totals struct {
	Packets, Bytes uint64
	// Foreign are those that are of no run, but for Warmup, which were sent before one and said so.
	Foreign, Warmup uint64
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
		if stamp.IsWarmup(b) {
			s.counts.Warmup++
		} else {
			s.counts.Foreign++
		}
		return
	}
	r := s.runOf(st.Run)
	if r == nil {
		s.counts.Foreign++
		return
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
	class := r.account.Take(&st)
	if class == account.NoRoom && s.evict(r.served) {
		class = r.account.Take(&st)
	}
	switch {
	case class == account.NoRoom:
		r.account.Refuse()
	case class == account.Received && r.delay != nil:
		r.record(stamp.Since(s.time, st.Time))
	}
}

// stragglers is for how long after a run what bears its number is a straggler of it, and not of another run: no datagram
// is on the way for longer (RFC 793, maximum segment lifetime).
const stragglers = 2 * time.Minute

// runOf is the run that a datagram of now is counted in, which may have ended or begins with it. It is nil where there are
// too many. The mutex is held.
func (s *Sink) runOf(id uint16) *run {
	if r := s.runs[id]; r != nil {
		return r
	}
	for _, r := range s.ended {
		if r.id == id && r.said && s.now.Sub(r.last) < stragglers {
			return r
		}
	}
	return s.begin(id, nil)
}

// begin makes a run, announced by hello or, where that is nil, by its first datagram. It returns nil where there are too
// many. The mutex is held.
func (s *Sink) begin(id uint16, hello *announced) *run {
	if len(s.runs) >= MaxRuns && !s.evict(hello != nil) {
		return nil
	}
	now := time.Now()
	r := &run{id: id, hello: hello, served: hello != nil, begun: now, last: now, foreign: s.counts.Foreign}
	if !s.account(r) {
		return nil
	}
	if hello != nil && hello.shared {
		r.delay = newDelay()
	}
	s.runs[id] = r
	return r
}

// account gives a run what accounts for it. It returns false where there is none for it. The mutex is held.
func (s *Sink) account(r *run) bool {
	if s.source != nil {
		return s.source.account(s, r)
	}
	a := account.NewRun(s.window, &s.budget)
	if r.hello == nil {
		a.Joined() // its sender may have been there before
	}
	r.account = a
	return true
}

// evict ends, of the runs that no sender is connected for, the one of which nothing has come for longest: what anybody can
// begin by a datagram takes no room from a run that is announced. A run that is not has to wait until another is still:
// strangers then end none whose datagrams come. The mutex is held.
func (s *Sink) evict(announced bool) bool {
	var oldest *run
	for _, r := range s.runs {
		if !r.served && (oldest == nil || r.last.Before(oldest.last)) {
			oldest = r
		}
	}
	if oldest == nil || !announced && s.now.Sub(oldest.last) < stillness {
		return false
	}
	s.finish(oldest)
	return true
}

// end ends a run whose sender has said how much it sent: no more is waited for.
func (s *Sink) end(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	if s.runs[r.id] == r {
		s.finish(r)
	}
}

// abandon is for a run whose sender is gone without a word about how much it sent. Its datagrams may still come.
func (s *Sink) abandon(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.served = false
}

// finish ends a run that goes on: its counts stay, its windows go. The mutex is held.
func (s *Sink) finish(r *run) {
	r.foreign = s.counts.Foreign - r.foreign
	r.account.Release()
	r.progressOfKernel()
	r.receiving, r.last = r.took(), time.Now()
	r.over, r.served = true, false
	if s.runs[r.id] == r {
		delete(s.runs, r.id)
	}
	if len(s.ended) == MaxRuns {
		s.forget()
	}
	s.ended = append(s.ended, r)
}

// forget makes room for a run that has ended: the oldest goes, or the oldest of those that nobody has announced, which
// anybody can make many of. The mutex is held.
func (s *Sink) forget() {
	i := max(slices.IndexFunc(s.ended, func(r *run) bool { return r.hello == nil }), 0)
	s.gone.runs++
	s.gone.counts.Add(s.ended[i].account.Counts())
	if s.source != nil {
		s.source.forget(s, s.ended[i])
	}
	s.ended = slices.Delete(s.ended, i, i+1)
}

// Totals are all datagrams so far.
func (s *Sink) Totals() Totals {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return s.counts
}

// Counts sums up all runs, those that have ended too.
func (s *Sink) Counts() account.Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return s.sums()
}

// sums is Counts with the mutex held.
func (s *Sink) sums() account.Counts {
	c := s.gone.counts
	for _, r := range s.ended {
		c.Add(r.account.Counts())
	}
	for _, r := range s.runs {
		c.Add(r.account.Counts())
	}
	return c
}
