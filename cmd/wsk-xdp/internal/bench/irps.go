// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// irps is a bounded set of IRPs, each used again when its completion routine has handed it back. take is for one
// goroutine; routines run on any.
type irps struct {
	all  []clientIRP
	idle *clientIRP // the taker's own

	_    [64]byte // what routines write is not on the line that the taker works on
	back atomic.Pointer[clientIRP]
	// asleep says that the taker waits for wake.
	asleep atomic.Bool
	wake   chan struct{}

	failed *atomic.Uint64 // datagrams
	closed atomic.Bool    // the socket is dead
	count  uint64         // datagrams of one IRP
}

type clientIRP struct {
	irp  wsk.IRP
	set  *irps
	next *clientIRP
}

func newIRPs(n, datagrams int, failed *atomic.Uint64) *irps {
	p := &irps{all: make([]clientIRP, n), wake: make(chan struct{}, 1), failed: failed, count: uint64(datagrams)}
	for i := range p.all {
		c := &p.all[i]
		c.set = p
		c.next, p.idle = p.idle, c
	}
	return p
}

// take waits for an idle IRP and makes it ready.
func (p *irps) take() *wsk.IRP {
	c := p.idle
	if c == nil {
		c = p.await()
	}
	p.idle = c.next
	c.irp.Reuse(wsk.STATUS_SUCCESS)
	c.irp.SetCompletionRoutine(sent, c, true, true, true)
	return &c.irp
}

// takeTries is how often a taker lets others run before it sleeps.
const takeTries = 64

func (p *irps) await() *clientIRP {
	for range takeTries {
		if c := p.back.Swap(nil); c != nil {
			return c
		}
		runtime.Gosched()
	}
	for {
		p.asleep.Store(true)
		if c := p.back.Swap(nil); c != nil {
			p.asleep.Store(false)
			return c
		}
		<-p.wake
	}
}

// sent is the completion routine of every IRP. It keeps the IRP, as WSK clients do.
func sent(irp *wsk.IRP, context any) wsk.NTSTATUS {
	c := context.(*clientIRP)
	p := c.set
	if status := irp.IoStatus.Status; status != wsk.STATUS_SUCCESS {
		p.failed.Add(p.count)
		if status == wsk.STATUS_FILE_FORCED_CLOSED {
			p.closed.Store(true)
		}
	}
	for {
		head := p.back.Load()
		c.next = head
		if p.back.CompareAndSwap(head, c) {
			break
		}
	}
	if p.asleep.Load() && p.asleep.CompareAndSwap(true, false) {
		select {
		case p.wake <- struct{}{}:
		default: // a token from an earlier sleep is still there
		}
	}
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

func (p *irps) dead() error {
	if p.closed.Load() {
		return fmt.Errorf("the socket died: %w", wsk.STATUS_FILE_FORCED_CLOSED)
	}
	return nil
}

// drain waits until all IRPs are back. The taker has ended.
func (p *irps) drain(deadline time.Time) {
	for p.countBack() < len(p.all) && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // nobody is in a hurry, and nothing announces the last one
	}
}

// countBack puts what came back to the idle ones and counts all. The taker has ended.
func (p *irps) countBack() (n int) {
	for c := p.back.Swap(nil); c != nil; {
		next := c.next
		c.next, p.idle = p.idle, c
		c = next
	}
	for c := p.idle; c != nil; c = c.next {
		n++
	}
	return n
}

// check finds IRPs that never came back. The socket is closed.
func (p *irps) check() error {
	if n := p.countBack(); n != len(p.all) {
		return fmt.Errorf("%d of %d IRPs did not complete", len(p.all)-n, len(p.all))
	}
	return nil
}
