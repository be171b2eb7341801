// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

const (
	// heldLook is among how many of the oldest one is looked for that waits for a neighbour: they gather there.
	heldLook = 64
	// roomLook is how often those that wait for room look whether something makes room that did not before.
	roomLook = 20 * time.Millisecond
	// heldLinger and leaveLinger are how long a close waits for what was written: for neighbours, and for all.
	heldLinger  = 100 * time.Millisecond
	leaveLinger = time.Second
)

// beginCopy is begin for a datagram of n bytes that the caller will not wait for. It waits for room: as on Linux the last
// one may go beyond the limit. What waits for a neighbour or a link makes room, oldest first, as it would in the
// neighbour's queue of Linux. Without wait it returns no op where there is no room.
func (s *side) beginCopy(n int, to netip.AddrPort, wait bool) (*op, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if err := s.refusal(); err != nil {
			return nil, err
		}
		if s.room.bytes < s.room.limit || s.room.oldest == nil {
			break
		}
		if s.dropHeld(to) {
			continue
		}
		if !wait {
			return nil, nil
		}
		s.awaitRoom()
	}
	o := s.take()
	o.cost, o.to = n+copyOverhead, to
	s.room.add(o)
	if s.room.waiters > 0 && s.room.bytes < s.room.limit { // what has left may have made room for several
		s.left.Signal()
	}
	return o, nil
}

// awaitRoom waits until a copy has left or everything is different, and for a look's time at most: a provider tells nobody
// that a datagram has come to wait for a neighbour, which makes room.
func (s *side) awaitRoom() {
	s.room.waiters++
	if !s.room.ticking {
		s.room.ticking = true
		if s.room.tick == nil {
			s.room.tick = time.AfterFunc(roomLook, s.tickRoom)
		} else {
			s.room.tick.Reset(roomLook)
		}
	}
	s.left.Wait()
	s.room.waiters--
}

// tickRoom has those that wait for room look, and comes again as long as there are any.
func (s *side) tickRoom() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.room.ticking = s.room.waiters > 0; s.room.ticking {
		s.left.Broadcast()
		s.room.tick.Reset(roomLook)
	}
}

// endCopy gives back an op that nobody has any more.
func (s *side) endCopy(o *op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room.remove(o)
	if s.room.waiters > 0 {
		s.left.Signal()
	}
	s.unlink(o)
	s.putAway(o)
}

// watch has the deadline cancel an op, as it does all that begin has given.
func (s *side) watch(o *op) {
	s.mu.Lock()
	late := s.refusal() != nil
	if !late {
		s.link(o)
	}
	o.timedOut = late
	s.mu.Unlock()
	if late {
		o.taken = o.irp.Cancel() // nobody else looks, since it is not linked
	}
}

// unwatch ends that, and waits for a cancel that is under way to be over, since a write that has returned is not
// cancelled. It reports whether the datagram has been taken back.
func (s *side) unwatch(o *op) (taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlink(o)
	for o.expiring {
		s.settling++
		s.settled.Wait()
		s.settling--
	}
	if s.room.waiters > 0 && o.irp.SendProgress() == wsk.SendHeld { // it makes room
		s.left.Signal()
	}
	return o.taken
}

// dropHeld cancels the oldest datagram that waits for a neighbour or a link, one to the same destination if there is one
// among the oldest. It reports false where there is none, and then has not let the mutex go: what the caller knows still
// holds. After true the caller looks at everything again, whether or not the cancel came in time.
func (s *side) dropHeld(to netip.AddrPort) bool {
	var o *op
	for i, at := 0, s.room.oldest; at != nil && i < heldLook; i, at = i+1, at.newer {
		if !at.parked && at.irp.SendProgress() != wsk.SendHeld {
			continue
		}
		if at.bumped { // it is about to end, which makes room: no other is to go for the same
			return false
		}
		if at.cancellers > 0 {
			continue
		}
		if o == nil || at.to == to {
			o = at
		}
		if at.to == to {
			break
		}
	}
	if o == nil {
		return false
	}
	if o.parked {
		s.dropParked(o)
		return true
	}
	o.bumped = true
	o.cancellers++
	s.mu.Unlock()
	o.irp.Cancel()
	s.mu.Lock()
	s.letGo(o)
	return true
}

// drain waits until what was written has left, for a bounded time.
func (s *side) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.room.oldest == nil {
		return
	}
	begun := time.Now()
	for _, limit := range []time.Duration{heldLinger, leaveLinger} {
		timer := time.AfterFunc(limit, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.left.Broadcast()
		})
		defer timer.Stop()
	}
	s.room.waiters++
	defer func() { s.room.waiters-- }()
	for s.room.oldest != nil {
		if waited := time.Since(begun); waited >= leaveLinger || waited >= heldLinger && s.room.allHeld() {
			return
		}
		s.left.Wait()
	}
}

// setRoom changes the limit.
func (s *side) setRoom(bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room.limit = max(bytes, 1)
	s.left.Broadcast()
}
