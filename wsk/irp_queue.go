// SPDX-License-Identifier: Apache-2.0

package wsk

import "sync/atomic"

// irpCanceller takes an IRP off the queue that it waits on in this package. cancelIRP is called at most once for each
// arming and then owns the IRP: it unlinks the IRP, if it is still linked, and completes it with STATUS_CANCELLED.
type irpCanceller interface {
	cancelIRP(irp *IRP)
}

// irpWait is an IRP's place on an [irpList], and what counts it there. Sends have a place of their own, in their
// [SendOp]: they wait in a transport.
type irpWait struct {
	next, prev *IRP
	linked     bool
	cancel     atomic.Uint32
	canceller  irpCanceller
	socket     *Socket // counts the call until its completion
	client     *Client // the same, for a provider call
	left       int     // callbacks that a disabling waits for
	epoch      uint64
}

// arm makes the IRP cancellable by c. It reports false, and arms nothing, when the IRP has been cancelled already.
//
// Preconditions: the lock that c.cancelIRP takes is held, the IRP is linked.
func (irp *IRP) arm(c irpCanceller) bool {
	irp.wait.canceller = c
	irp.wait.cancel.Store(cancelArmed)
	return !irp.cancelRequested() || !irp.disarm()
}

// disarm ends cancellability. It reports false when the canceller has the IRP: then it must be left alone.
func (irp *IRP) disarm() bool {
	return irp.wait.cancel.CompareAndSwap(cancelArmed, cancelIdle)
}

// cancelWait takes a waiting IRP for its canceller, or reports false when it can't be cancelled.
func (irp *IRP) cancelWait() bool {
	if !irp.wait.cancel.CompareAndSwap(cancelArmed, cancelTaken) {
		return false
	}
	irp.wait.canceller.cancelIRP(irp)
	return true
}

// completeWait completes the IRP of a call that has waited, and ends its count.
func (irp *IRP) completeWait(status NTSTATUS, information uintptr) {
	socket, client := irp.wait.socket, irp.wait.client
	irp.wait.socket, irp.wait.client = nil, nil
	irp.mustPend()
	if socket != nil {
		defer socket.calls.Finish(1) // also when the routine panics
	}
	if client != nil {
		defer client.endCall()
	}
	irp.complete(status, information)
}

// irpList is a FIFO of IRPs, guarded by its owner's lock. The zero value is empty.
type irpList struct{ head, tail *IRP }

func (l *irpList) empty() bool { return l.head == nil }

// push links irp at the end.
func (l *irpList) push(irp *IRP) {
	w := &irp.wait
	w.next, w.prev, w.linked = nil, l.tail, true
	if l.tail == nil {
		l.head = irp
	} else {
		l.tail.wait.next = irp
	}
	l.tail = irp
}

// remove unlinks irp, unless it is unlinked already.
func (l *irpList) remove(irp *IRP) {
	w := &irp.wait
	if !w.linked {
		return
	}
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.wait.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.wait.prev = w.prev
	}
	w.next, w.prev, w.linked = nil, nil, false
}

// take unlinks and disarms the oldest IRP, or returns nil. IRPs whose canceller has them are unlinked on the way; it is
// about to complete them.
func (l *irpList) take() *IRP {
	for irp := l.head; irp != nil; irp = l.head {
		l.remove(irp)
		if irp.disarm() {
			return irp
		}
	}
	return nil
}

// takeAll is take for all of them. The result is linked by wait.next and is for completeAll.
func (l *irpList) takeAll() (chain *IRP) {
	end := &chain
	for irp := l.take(); irp != nil; irp = l.take() {
		*end = irp
		end = &irp.wait.next
	}
	return chain
}

// completeAll completes the chain that takeAll has returned. No lock is held. If a routine panics, the others get their
// completion all the same: they may be another client's.
func completeAll(chain *IRP, status NTSTATUS) {
	irp := chain
	defer func() {
		if irp != nil {
			completeAll(irp, status)
		}
	}()
	for irp != nil {
		done := irp
		irp = done.wait.next // the IRP is its client's again after completion
		done.wait.next = nil
		done.completeWait(status, 0)
	}
}
