// SPDX-License-Identifier: Apache-2.0

package wsktest

import (
	"slices"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Complete ends the i-th held operation, counted from the oldest, with status; a success of a waiting one makes its
// datagrams leave first. It reports false when there is no such operation.
func (t *Transport) Complete(i int, status wsk.NTSTATUS) bool {
	t.mu.Lock()
	if i < 0 || i >= len(t.held) {
		t.mu.Unlock()
		return false
	}
	op := t.held[i]
	if op.Transport.Linked {
		if !op.DisarmCancel() { // its canceller waits for the mutex and ends it
			t.mu.Unlock()
			return false
		}
		if status.Success() {
			t.emit(op)
		}
	}
	t.held = slices.Delete(t.held, i, i+1)
	t.mu.Unlock()
	t.end(op, status)
	return true
}

// CompleteAll ends every operation that is held now, oldest first, and returns how many.
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
	t.held = slices.DeleteFunc(t.held, func(o *wsk.SendOp) bool { return o == op })
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

// end completes an operation through a trampoline: a completion routine that sends again, which completes at once,
// finds the trampoline running and leaves the completion to it, so that the stack does not grow.
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
