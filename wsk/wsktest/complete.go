// SPDX-License-Identifier: Apache-2.0

package wsktest

import (
	"slices"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Complete ends the i-th operation that is pending, counted from the oldest, with status. If the operation waits and
// status is a success, its datagrams leave first. It reports false when there is no such operation.
func (t *Transport) Complete(i int, status wsk.NTSTATUS) bool {
	t.mu.Lock()
	if i < 0 || i >= len(t.pending) {
		t.mu.Unlock()
		return false
	}
	op := t.pending[i]
	if op.Transport.Linked {
		if !op.DisarmCancel() { // its canceller waits for the mutex, and will end it
			t.mu.Unlock()
			return false
		}
		if status.Success() {
			t.emit(op)
		}
	}
	t.pending = slices.Delete(t.pending, i, i+1)
	t.mu.Unlock()
	t.end(op, status)
	return true
}

// CompleteAll ends every operation that is pending now, the oldest first, and returns how many.
func (t *Transport) CompleteAll(status wsk.NTSTATUS) int {
	n := t.Counts().Pending
	done := 0
	for range n {
		if t.Complete(0, status) {
			done++
		}
	}
	return done
}

// CancelSend implements wsk.Canceller.
func (t *Transport) CancelSend(op *wsk.SendOp) {
	t.mu.Lock()
	t.pending = slices.DeleteFunc(t.pending, func(o *wsk.SendOp) bool { return o == op })
	t.counts.Cancelled++
	t.mu.Unlock()
	t.end(op, wsk.STATUS_CANCELLED)
}

// emit lets the datagrams of an operation leave: they are recorded and, with Loop, arrive. The mutex is held.
func (t *Transport) emit(op *wsk.SendOp) {
	if !t.keep && !t.loop {
		return
	}
	from := op.Transport.Via.(*endpoint).local
	for i := range op.Bufs {
		payload := flatten(&op.Bufs[i])
		segment := int(op.Segment)
		for segment > 0 && len(payload) > segment {
			t.leave(Datagram{from, op.To, payload[:segment:segment]})
			payload = payload[segment:]
		}
		t.leave(Datagram{from, op.To, payload})
	}
}

func (t *Transport) leave(d Datagram) {
	if t.keep {
		t.datagrams = append(t.datagrams, d)
	}
	if t.loop {
		t.loopBack(&d)
	}
}

func flatten(b *wsk.Buf) []byte {
	payload := make([]byte, 0, b.Length)
	for c := b.Cursor(0); ; {
		piece := c.Next(int(b.Length))
		if len(piece) == 0 {
			return payload
		}
		payload = append(payload, piece...)
	}
}

// end completes an operation through a trampoline. When a completion routine sends again and that completes at once,
// the trampoline is running already and the completion is left to it, so that the stack does not grow.
func (t *Transport) end(op *wsk.SendOp, status wsk.NTSTATUS) {
	t.mu.Lock()
	t.counts.Completed++
	t.mu.Unlock()
	t.runMu.Lock()
	t.queue = append(t.queue, completion{op, status})
	if t.running {
		t.runMu.Unlock()
		return
	}
	t.running = true
	for len(t.queue) > 0 {
		batch := t.queue
		t.queue = nil
		t.runMu.Unlock()
		for _, c := range batch {
			c.op.Complete(c.status)
		}
		t.runMu.Lock()
	}
	t.running = false
	t.runMu.Unlock()
}
