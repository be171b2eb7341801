// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"context"
	"sync/atomic"
)

// irpWaiter is one goroutine in Wait.
type irpWaiter struct {
	irp     *IRP
	target  atomic.Uint32 // the operation that it waits for; Over may be asked at any time
	woken   chan struct{} // capacity 1
	reading Reading       // what it reads meanwhile, or nil
	next    *irpWaiter
}

// Over implements Pending.
func (w *irpWaiter) Over() bool { return w.irp.reached(w.target.Load()) }

// Wait returns nil once the operation that the IRP was last passed to has completed, whatever its status: the result is
// then in IoStatus. If ctx ends first, Wait returns the error of ctx and the operation goes on; the buffers still
// belong to the provider. A client that gives up calls Cancel and then waits again without a deadline. On an IRP that
// is not pending Wait returns nil at once.
//
// Several goroutines may wait, but none may begin to while another passes the IRP to a call. If somebody is waiting
// when the operation completes and there is a completion routine, the routine is called first; a Wait that begins later
// may return while the routine is running. So if there is a routine, it disposes of the IRP, and those who wait do not.
// The first Wait on an IRP allocates, those after a Reuse do not.
func (irp *IRP) Wait(ctx context.Context) error {
	target := irp.begun
	for !irp.reached(target) {
		w := irp.addWaiter(target, nil)
		if w == nil {
			return nil
		}
		select {
		case <-w.woken:
			irp.putWaiter(w)
		case <-ctx.Done():
			if !irp.removeWaiter(w) {
				<-w.woken // the completion has taken it: the operation is over, or about to be
			}
			irp.putWaiter(w)
			if !irp.reached(target) {
				return ctx.Err()
			}
		}
	}
	return nil
}

// reached reports whether the operation of that number has completed. The numbers wrap.
func (irp *IRP) reached(target uint32) bool {
	return int32(irp.state.Load()&^irpFlags-target) >= 0
}

// addWaiter returns nil when there is nothing left to wait for.
func (irp *IRP) addWaiter(target uint32, reading Reading) *irpWaiter {
	irp.waitMu.Lock()
	defer irp.waitMu.Unlock()
	for {
		word := irp.state.Load()
		if int32(word&^irpFlags-target) >= 0 {
			return nil
		}
		if word&irpWaiters == 0 && !irp.state.CompareAndSwap(word, word|irpWaiters) {
			continue
		}
		w := irp.spare
		irp.spare = nil
		if w == nil {
			w = &irpWaiter{irp: irp, woken: make(chan struct{}, 1)}
		}
		w.target.Store(target)
		w.reading = reading
		w.next = irp.waiters
		irp.waiters = w
		return w
	}
}

// putWaiter keeps a waiter for the next Wait.
func (irp *IRP) putWaiter(w *irpWaiter) {
	irp.waitMu.Lock()
	defer irp.waitMu.Unlock()
	irp.spare = w
}

// removeWaiter reports false when a completion has taken the list.
func (irp *IRP) removeWaiter(w *irpWaiter) bool {
	irp.waitMu.Lock()
	defer irp.waitMu.Unlock()
	for p := &irp.waiters; *p != nil; p = &(*p).next {
		if *p == w {
			*p = w.next
			return true
		}
	}
	return false
}

// takeWaiters empties the list and clears its flag.
func (irp *IRP) takeWaiters() *irpWaiter {
	irp.waitMu.Lock()
	defer irp.waitMu.Unlock()
	list := irp.waiters
	irp.waiters = nil
	irp.state.And(^irpWaiters)
	return list
}

// wake wakes the waiters of a list that takeWaiters has returned.
func (w *irpWaiter) wake() {
	for w != nil {
		next, reading := w.next, w.reading // w belongs to its goroutine again after the send
		w.next = nil
		w.woken <- struct{}{}
		if reading != nil {
			reading.Interrupt()
		}
		w = next
	}
}
