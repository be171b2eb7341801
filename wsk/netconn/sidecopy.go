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
		s.room.waiters++
		s.left.Wait()
		s.room.waiters--
	}
	o := s.take()
	o.cost, o.to = n+copyOverhead, to
	s.room.add(o)
	return o, nil
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
	if o.cancelling {
		o.over = true
		return
	}
	s.put(o)
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
		o.irp.Cancel()
	}
}

// unwatch ends that, and waits for a cancel that is under way to be over, since a write that has returned is not
// cancelled.
func (s *side) unwatch(o *op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlink(o)
}

// dropHeld cancels the oldest datagram that waits for a neighbour or a link, one to the same destination if there is one
// among the oldest. It reports false where there is none. The
// mutex is held, and let go meanwhile.
func (s *side) dropHeld(to netip.AddrPort) bool {
	var o *op
	for i, at := 0, s.room.oldest; at != nil && i < heldLook; i, at = i+1, at.newer {
		if at.cancelling || !at.parked && at.irp.SendProgress() != wsk.SendHeld {
			continue
		}
		if at.to == to {
			o = at
			break
		}
		if o == nil {
			o = at
		}
	}
	if o == nil {
		return false
	}
	if o.parked {
		s.dropParked(o)
		return true
	}
	o.cancelling = true
	s.mu.Unlock()
	cancelled := o.irp.Cancel()
	s.mu.Lock()
	o.cancelling = false
	if o.over {
		s.put(o)
	}
	return cancelled
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
