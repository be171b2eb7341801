// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"fmt"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// slots are a fixed number of datagrams, each with its IRP and its memory, which are the provider's until completion.
// Its methods may be called concurrently.
type slots struct {
	mu    sync.Mutex
	idle  *slot
	busy  int
	empty chan struct{} // gets a token when the last one comes back
	ended wsk.NTSTATUS  // of a send that failed
	// completed is called before a slot is idle again, from any goroutine. nil: not called.
	completed func(*slot, time.Time)
}

type slot struct {
	irp  wsk.IRP
	data []byte
	buf  wsk.Buf
	set  *slots
	next *slot

	at    time.Time // of the send
	timed bool
}

func newSlots(n, payload int, completed func(*slot, time.Time)) *slots {
	p := &slots{empty: make(chan struct{}, 1), completed: completed}
	for range n {
		s := &slot{data: make([]byte, payload), set: p, next: p.idle}
		s.buf = wsk.Buf{Mdl: wsk.AllocateMDL(s.data), Length: uintptr(payload)}
		p.idle = s
	}
	return p
}

// take returns an idle slot, nil when all are under way.
func (p *slots) take() *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.idle
	if s == nil {
		return nil
	}
	p.idle = s.next
	p.busy++
	s.irp.Reuse(wsk.STATUS_SUCCESS)
	s.irp.SetCompletionRoutine(slotDone, s, true, true, true)
	return s
}

// slotDone is the completion routine of every IRP.
func slotDone(irp *wsk.IRP, context any) wsk.NTSTATUS {
	s := context.(*slot)
	p := s.set
	status := irp.IoStatus.Status
	if p.completed != nil && status == wsk.STATUS_SUCCESS {
		p.completed(s, time.Now())
	}
	p.mu.Lock()
	if status != wsk.STATUS_SUCCESS {
		p.ended = status
	}
	s.next, p.idle = p.idle, s
	p.busy--
	last := p.busy == 0
	p.mu.Unlock()
	if last {
		select {
		case p.empty <- struct{}{}:
		default:
		}
	}
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// wait returns when none is under way.
func (p *slots) wait() {
	for p.count() > 0 {
		<-p.empty
	}
}

func (p *slots) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy
}

// failure is the error of a send that failed, nil if none did.
func (p *slots) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != wsk.STATUS_SUCCESS {
		return fmt.Errorf("a send failed: %w", p.ended)
	}
	return nil
}
