// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// slot is one IRP and what belongs to it. Its fields belong to the runner, except between the call that passes
// the IRP and the collect that gets the slot back: then to the completion routine.
type slot struct {
	irp    wsk.IRP
	queue  *returns
	next   *slot // in the list of returns, or of idle slots
	count  uint64
	bytes  uint64 // of payload
	busy   bool
	start  time.Time
	end    time.Time
	status wsk.NTSTATUS
	stamps []byte    // of a burst, nil where datagrams have none
	mdls   []wsk.MDL // one for each stamp
}

// returns is where completion routines put slots: a list that the runner takes as a whole.
type returns struct {
	mu   sync.Mutex
	head *slot
	wake chan struct{} // capacity 1: something was put
}

func newReturns() *returns { return &returns{wake: make(chan struct{}, 1)} }

func (r *returns) put(s *slot) {
	r.mu.Lock()
	first := r.head == nil
	s.next = r.head
	r.head = s
	r.mu.Unlock()
	if first {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

func (r *returns) takeAll() *slot {
	r.mu.Lock()
	head := r.head
	r.head = nil
	r.mu.Unlock()
	return head
}

// completed is the completion routine of every slot. It keeps the IRP: the runner uses it again.
func completed(irp *wsk.IRP, context any) wsk.NTSTATUS {
	s := context.(*slot)
	s.end = time.Now()
	s.status = irp.IoStatus.Status
	s.queue.put(s)
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// slots is the bounded set of IRPs.
type slots struct {
	all      []slot
	idle     *slot
	inFlight int
	back     *returns
}

func newSlots(n int) *slots {
	ss := &slots{all: make([]slot, n), back: newReturns()}
	for i := range ss.all {
		s := &ss.all[i]
		s.queue = ss.back
		s.next, ss.idle = ss.idle, s
	}
	return ss
}

// take takes an idle slot and makes its IRP ready, or returns nil.
func (ss *slots) take() *slot {
	s := ss.idle
	if s == nil {
		return nil
	}
	ss.idle = s.next
	s.next, s.busy = nil, true
	ss.inFlight++
	s.irp.Reuse(wsk.STATUS_SUCCESS)
	s.irp.SetCompletionRoutine(completed, s, true, true, true)
	return s
}

// collect hands every slot that came back to count, and makes it idle.
func (ss *slots) collect(count func(*slot)) {
	for s := ss.back.takeAll(); s != nil; {
		next := s.next
		s.busy = false
		ss.inFlight--
		count(s)
		s.next, ss.idle = ss.idle, s
		s = next
	}
}

// cancel cancels every IRP that is still out.
func (ss *slots) cancel() {
	for i := range ss.all {
		if s := &ss.all[i]; s.busy {
			s.irp.Cancel()
		}
	}
}
