// SPDX-License-Identifier: Apache-2.0

// Package irps is the IRPs of a client that keeps them, as the measurements have one: a bounded number under way, each
// used again when it has come back.
package irps

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Set is a bounded set of IRPs, each used again when its completion routine has handed it back. Its methods are for one
// goroutine; routines run on any.
type Set struct {
	all  []clientIRP
	idle []*clientIRP // the taker's own, the one that came back last on top: its memory is still in the cache

	_    [64]byte      // what routines write is not on the line that the taker works on
	back atomic.Uint32 // top of the stack of those that came back: place in all, from 1; 0 ends it
	// asleep says that the taker waits for wake, returned how many came back since.
	asleep   atomic.Bool
	returned atomic.Int32
	wake     chan struct{}

	failed *atomic.Uint64 // datagrams
	closed atomic.Bool    // the socket is dead
	count  uint64         // datagrams of one IRP
}

type clientIRP struct {
	irp   wsk.IRP
	set   *Set
	place uint32
	next  uint32 // below it on the stack
}

// New makes a set of n IRPs. failed counts the datagrams, so many for each IRP, of those that fail.
func New(n, datagrams int, failed *atomic.Uint64) *Set {
	p := &Set{all: make([]clientIRP, n), idle: make([]*clientIRP, 0, n), wake: make(chan struct{}, 1), failed: failed, count: uint64(datagrams)}
	for i := range p.all {
		c := &p.all[i]
		c.set, c.place = p, uint32(i)+1
		p.idle = append(p.idle, c)
	}
	return p
}

// Collect makes what has come back idle. A taker calls it once in a while, so that it goes on with the same few IRPs.
func (p *Set) Collect() {
	if p.back.Load() != 0 {
		p.keep(p.back.Swap(0))
	}
}

func (p *Set) keep(top uint32) {
	for top != 0 {
		c := &p.all[top-1]
		p.idle = append(p.idle, c)
		top = c.next
	}
}

// Take waits for an idle IRP and makes it ready.
func (p *Set) Take() *wsk.IRP {
	irp, _ := p.TakeOne()
	return irp
}

// Len is how many IRPs there are.
func (p *Set) Len() int { return len(p.all) }

// TakeOne is Take for a taker that has memory of its own for each IRP: it also returns its place, below Len.
func (p *Set) TakeOne() (irp *wsk.IRP, place int) {
	if len(p.idle) == 0 {
		p.keep(p.await())
	}
	c := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	c.irp.Reuse(wsk.STATUS_SUCCESS)
	c.irp.SetCompletionRoutine(sent, c, true, true, true)
	return &c.irp, int(c.place) - 1
}

// await sleeps until half of the IRPs are back, which is also when the kernel wakes a sender that waits for room in a
// socket's send buffer (sock_def_write_space): there is one wake-up for many, and the provider still has work
// meanwhile. None is idle.
func (p *Set) await() (top uint32) {
	for {
		p.returned.Store(0)
		p.asleep.Store(true)
		if top = p.back.Swap(0); top != 0 {
			p.asleep.Store(false)
			return top
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
		top := p.back.Load()
		c.next = top
		if p.back.CompareAndSwap(top, c.place) {
			break
		}
	}
	if p.asleep.Load() && p.returned.Add(1) >= int32(len(p.all)+1)/2 && p.asleep.CompareAndSwap(true, false) {
		select {
		case p.wake <- struct{}{}:
		default: // a token from an earlier sleep is still there
		}
	}
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// Dead tells that a socket of theirs is.
func (p *Set) Dead() error {
	if p.closed.Load() {
		return fmt.Errorf("the socket died: %w", wsk.STATUS_FILE_FORCED_CLOSED)
	}
	return nil
}

// Drain waits until all IRPs are back. The taker has ended.
func (p *Set) Drain(deadline time.Time) {
	for p.countBack() < len(p.all) && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // nobody is in a hurry, and nothing announces the last one
	}
}

// countBack puts what came back to the idle ones and counts all. The taker has ended.
func (p *Set) countBack() int {
	p.Collect()
	return len(p.idle)
}

// Check finds IRPs that never came back. The socket is closed.
func (p *Set) Check() error {
	if n := p.countBack(); n != len(p.all) {
		return fmt.Errorf("%d of %d IRPs did not complete", len(p.all)-n, len(p.all))
	}
	return nil
}
