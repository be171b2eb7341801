// SPDX-License-Identifier: Apache-2.0

package device

import (
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
)

// attempts are the openings of queues that are under way, by slot.
type attempts struct {
	mu   lockrank.Mutex[locks.AttemptsMu]
	list map[int]*attempt
}

// attempt is the opening of one queue.
type attempt struct {
	why     error    // why nobody is to wait for it
	busy    bool     // somebody else has the queue
	waiting []func() // to be called when it has ended, or nobody is to wait any more
}

// await has later called when the attempt for a slot has ended or nobody is to wait for it any more; fresh is true when there was
// none, and the caller is to make it. Where nobody waits any more, or shall from the start because the kernel's stack stands in, why
// says so and later is not called.
func (t *attempts) await(slot int, standsIn bool, later func()) (why error, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.list[slot]
	if a == nil {
		if t.list == nil {
			t.list = make(map[int]*attempt)
		}
		a = new(attempt)
		if standsIn {
			a.why = send.ErrStandIn
		}
		t.list[slot], fresh = a, true
	}
	if a.why == nil {
		a.waiting = append(a.waiting, later)
	}
	return a.why, fresh
}

// noteBusy tells those who wait for a queue that somebody else has it. It reports whether that is news.
func (t *attempts) noteBusy(slot int, why error) (news bool) { return t.send(slot, true, why) }

// noteStandIn tells those who wait for a queue that the kernel's stack is to send meanwhile.
func (t *attempts) noteStandIn(slot int) { t.send(slot, false, send.ErrStandIn) }

// send has those who wait for a queue go another way.
func (t *attempts) send(slot int, busy bool, why error) (news bool) {
	t.mu.Lock()
	a := t.list[slot]
	if a == nil || a.busy {
		t.mu.Unlock()
		return false
	}
	a.why, a.busy = why, busy
	waiting := a.waiting
	a.waiting = nil
	t.mu.Unlock()
	for _, later := range waiting {
		later()
	}
	return true
}

// end reports whether somebody was sent another way, and whether because the queue was busy.
func (t *attempts) end(slot int) (sent, wasBusy bool) {
	t.mu.Lock()
	a := t.list[slot]
	delete(t.list, slot)
	t.mu.Unlock()
	for _, later := range a.waiting {
		later()
	}
	return a.why != nil, a.busy
}
