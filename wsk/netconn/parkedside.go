// SPDX-License-Identifier: Apache-2.0

package netconn

import "time"

const (
	// parkLimit is how long the kernel asks for a neighbour: three times, at intervals of a second (mcast_solicit, retrans_time).
	parkLimit = 3 * time.Second
	// parkLook is how often one is tried.
	parkLook = 20 * time.Millisecond
)

// park keeps a copy for retry. It reports false where it is to end: the side is closed, or it has been tried for too long.
func (s *side) park(o *op, retry func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if o.parkedAt.IsZero() {
		o.parkedAt = now
	}
	if s.closed || now.Sub(o.parkedAt) >= parkLimit {
		return false
	}
	s.unlink(o)
	if o.cancellers > 0 { // to make room
		return false
	}
	o.parked, o.probe, o.bumped = true, false, false
	s.room.parked++
	if s.room.waiters > 0 { // it makes room
		s.left.Signal()
	}
	if !s.room.looking {
		s.room.looking = true
		s.lookIn(retry)
	}
	return true
}

// lookIn has retry called after a while. The mutex is held.
func (s *side) lookIn(retry func()) {
	if s.room.look == nil {
		s.room.look = time.AfterFunc(parkLook, retry)
		return
	}
	s.room.look.Reset(parkLook)
}

// lookAgain is lookIn, unless nothing is left to try.
func (s *side) lookAgain(retry func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.room.parked == 0 {
		s.room.looking = false
		return
	}
	s.lookIn(retry)
}

// unpark takes the oldest of those that were tried least, to be tried for all. Those that have waited for too long are given up.
func (s *side) unpark() (o *op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.room.parked == 0 {
		return nil
	}
	begun := time.Now().Add(-parkLimit)
	for at := s.room.oldest; at != nil; {
		next := at.newer
		switch {
		case !at.parked:
		case !at.parkedAt.After(begun):
			s.dropParked(at)
		case o == nil || at.tries < o.tries:
			o = at
		}
		at = next
	}
	if s.room.waiters > 0 {
		s.left.Broadcast()
	}
	if o != nil {
		s.room.take(o)
		o.probe = true
	}
	return o
}

// unparkAll takes all, in their order.
func (s *side) unparkAll() (all []*op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.room.parked == 0 {
		return nil
	}
	all = make([]*op, 0, s.room.parked)
	for at := s.room.oldest; at != nil; at = at.newer {
		if at.parked {
			s.room.take(at)
			all = append(all, at)
		}
	}
	return all
}

func (r *room) take(o *op) {
	o.parked, o.probe = false, false
	o.tries++
	r.parked--
}

// dropParked gives up one that is parked. The mutex is held.
func (s *side) dropParked(o *op) {
	o.parked = false
	s.room.parked--
	s.failed.Add(1)
	s.room.remove(o)
	s.put(o)
}

// dropAllParked is the end of them, on a side that is closed.
func (s *side) dropAllParked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at := s.room.oldest; at != nil; {
		next := at.newer
		if at.parked {
			s.dropParked(at)
		}
		at = next
	}
	if s.room.look != nil {
		s.room.look.Stop()
	}
}
