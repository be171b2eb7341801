// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// side is one direction of a connection: its deadline, its calls under way and its idle ops.
type side struct {
	mu       sync.Mutex
	closed   bool
	expired  bool
	deadline time.Time // on the monotonic clock; zero: none
	timer    *time.Timer
	pending  *op // calls under way that nobody has cancelled
	free     *op
	nfree    int

	room   room
	failed atomic.Uint64 // datagrams that were accepted and did not leave
	left   sync.Cond     // on mu: a copy has left, or everything is different

	settled  sync.Cond // on mu: a cancel of the deadline's has returned
	settling int       // who wait for that
}

// maxFree is the most idle ops that a side keeps: more than datagrams of any size are under way at once where the write
// buffer has its default. When more calls are made at once, new ones are allocated.
const maxFree = defaultWriteBuffer / copyOverhead

// begin takes an op for one call, or says why there can't be one: net.ErrClosed or os.ErrDeadlineExceeded. From here on
// the deadline cancels the op's IRP, whether or not the call has been made yet.
func (s *side) begin() (*op, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return nil, err
	}
	o := s.take()
	s.link(o)
	return o, nil
}

// beginAll is begin for many calls.
func (s *side) beginAll(ops []*op) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return err
	}
	for i := range ops {
		ops[i] = s.take()
		s.link(ops[i])
	}
	return nil
}

// take is an idle op, or a new one. The mutex is held.
func (s *side) take() *op {
	o := s.free
	if o == nil {
		return newOp()
	}
	s.free = o.next
	s.nfree--
	o.next = nil
	return o
}

// link puts an op among those that the deadline cancels. The mutex is held.
func (s *side) link(o *op) {
	o.next, o.prev, o.linked = s.pending, nil, true
	if s.pending != nil {
		s.pending.prev = o
	}
	s.pending = o
}

func (s *side) refusal() error {
	switch {
	case s.closed:
		return net.ErrClosed
	case s.expired:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// refused is refusal for a caller who does not hold the mutex.
func (s *side) refused() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusal()
}

// end gives back an op whose IRP has completed. The caller has read the results before.
func (s *side) end(o *op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(o)
}

// endAll is end for many calls. The slice keeps none of them. The first is the next that is taken, so that the memory for
// many calls, which the first one has, does not grow in every op.
func (s *side) endAll(ops []*op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(ops) - 1; i >= 0; i-- {
		s.drop(ops[i])
		ops[i] = nil
	}
}

// drop is end with the mutex held.
func (s *side) drop(o *op) {
	s.unlink(o)
	s.putAway(o)
}

// putAway is put for an op that the caller is done with, unless a canceller has it. The mutex is held.
func (s *side) putAway(o *op) {
	if o.cancellers > 0 {
		o.over = true
		return
	}
	s.put(o)
}

// letGo is a canceller's end with an op. The mutex is held.
func (s *side) letGo(o *op) {
	o.cancellers--
	if o.over && o.cancellers == 0 {
		s.put(o)
	}
}

// cancelled says why an IRP has ended with STATUS_CANCELLED: net.ErrClosed, os.ErrDeadlineExceeded, or nil if it was
// neither the end of the connection nor its deadline.
func (s *side) cancelled(o *op) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return net.ErrClosed
	case o.timedOut:
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (s *side) unlink(o *op) {
	if !o.linked {
		return
	}
	if o.prev == nil {
		s.pending = o.next
	} else {
		o.prev.next = o.next
	}
	if o.next != nil {
		o.next.prev = o.prev
	}
	o.next, o.prev, o.linked = nil, nil, false
}

// put keeps an idle op. The mutex is held.
func (s *side) put(o *op) {
	o.next = nil
	if s.closed || s.nfree == maxFree {
		return
	}
	o.clear()
	o.next = s.free
	s.free = o
	s.nfree++
}

// setDeadline implements the three SetDeadline methods for one side. Zero means none.
func (s *side) setDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.deadline, s.expired = time.Time{}, false
	if t.IsZero() {
		return nil
	}
	left := time.Until(t)
	if left <= 0 {
		s.expired = true
		s.cancelAll()
		return nil
	}
	s.deadline = time.Now().Add(left)
	if s.timer == nil {
		s.timer = time.AfterFunc(left, s.expire)
	} else {
		s.timer.Reset(left)
	}
	return nil
}

// expire is called by the timer. It may be late: then the deadline has been replaced, and either another call is to
// come or there is no deadline any more.
func (s *side) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.expired || s.deadline.IsZero() || time.Now().Before(s.deadline) {
		return
	}
	s.expired = true
	s.cancelAll()
}

// cancelAll cancels every call under way. The mutex is held, and let go around each cancel, since a cancel completes
// the IRP, and with it whatever else completes on that goroutine. An op stays until its cancel has returned, because a
// cancel that came late would hit its next use.
func (s *side) cancelAll() {
	s.left.Broadcast()
	list := s.pending
	s.pending = nil
	for o := list; o != nil; o = o.next {
		o.prev, o.linked, o.timedOut, o.expiring = nil, false, true, true
		o.cancellers++
	}
	for o := list; o != nil; {
		s.mu.Unlock()
		taken := o.irp.Cancel()
		s.mu.Lock()
		next := o.next
		o.next, o.expiring, o.taken = nil, false, taken
		s.letGo(o)
		if s.settling > 0 {
			s.settled.Broadcast()
		}
		o = next
	}
}

// close makes every later begin fail. It reports false when the side is closed already.
func (s *side) close() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.free, s.nfree = nil, 0
	s.left.Broadcast()
	return true
}

// cancelCalls ends what is under way on a side that is closed.
func (s *side) cancelCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancelAll()
}
