// SPDX-License-Identifier: Apache-2.0

package device

import (
	"sync"

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
	done chan struct{} // closed when it has ended
	busy chan struct{} // closed when somebody else has the queue
	once sync.Once     // closes busy
	why  error         // written before busy is closed
}

// at is the attempt that is under way for a slot. fresh is true when there was none, and the caller is to make it.
func (t *attempts) at(slot int) (a *attempt, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a = t.list[slot]; a != nil {
		return a, false
	}
	if t.list == nil {
		t.list = make(map[int]*attempt)
	}
	a = &attempt{done: make(chan struct{}), busy: make(chan struct{})}
	t.list[slot] = a
	return a, true
}

// noteBusy tells those who wait for a queue that somebody else has it. It reports whether that is news to any.
func (t *attempts) noteBusy(slot int, why error) (news bool) {
	t.mu.Lock()
	a := t.list[slot]
	t.mu.Unlock()
	if a == nil {
		return false
	}
	a.once.Do(func() {
		a.why = why
		close(a.busy)
		news = true
	})
	return news
}

// end reports whether somebody was told that the queue is busy, and went another way.
func (t *attempts) end(slot int, a *attempt) (wasBusy bool) {
	t.mu.Lock()
	delete(t.list, slot)
	t.mu.Unlock()
	close(a.done)
	select {
	case <-a.busy:
		return true
	default:
		return false
	}
}
