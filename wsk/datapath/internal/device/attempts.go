// SPDX-License-Identifier: Apache-2.0

package device

import (
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// attempts are the openings of queues that are under way, by slot.
type attempts struct {
	mu   lockrank.Mutex[locks.AttemptsMu]
	list map[int]*attempt
}

// attempt is the opening of one queue.
type attempt struct {
	busy    error    // somebody else has the queue
	waiting []func() // to be called when it has ended, or somebody else is found to have the queue
}

// await has later called when the attempt for a slot has ended or has found the queue busy; fresh is true when there was none, and
// the caller is to make it. Where it has been found busy already, busy says so and later is not called.
func (t *attempts) await(slot int, later func()) (busy error, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.list[slot]
	if a == nil {
		if t.list == nil {
			t.list = make(map[int]*attempt)
		}
		a = new(attempt)
		t.list[slot], fresh = a, true
	}
	if a.busy == nil {
		a.waiting = append(a.waiting, later)
	}
	return a.busy, fresh
}

// noteBusy tells those who wait for a queue that somebody else has it. It reports whether that is news to any.
func (t *attempts) noteBusy(slot int, why error) (news bool) {
	t.mu.Lock()
	a := t.list[slot]
	if a == nil || a.busy != nil {
		t.mu.Unlock()
		return false
	}
	a.busy = why
	waiting := a.waiting
	a.waiting = nil
	t.mu.Unlock()
	for _, later := range waiting {
		later()
	}
	return true
}

// end reports whether somebody was told that the queue is busy, and went another way.
func (t *attempts) end(slot int) (wasBusy bool) {
	t.mu.Lock()
	a := t.list[slot]
	delete(t.list, slot)
	t.mu.Unlock()
	for _, later := range a.waiting {
		later()
	}
	return a.busy != nil
}
