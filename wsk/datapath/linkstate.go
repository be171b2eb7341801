// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// While a link is administratively down, descriptors stay in the ring, where no list reaches them. To keep their
// operations cancellable they are armed one by one, and the ring is emptied (see rebuild.go) once one is cancelled.
// SendState.Hold tells how far that went.
const (
	holdNone     uint8 = iota
	holdArmed          // armed with this queue as its canceller
	holdExpected       // a canceller has won it and is on its way here; one of Frames stands for it until it arrives
)

// eachPosted visits the operations of the descriptors that the kernel has not consumed, once per descriptor. mu is held.
func (q *queue) eachPosted(do func(*wsk.SendOp)) {
	q.publishLocked()
	for i, end := q.tx.Consumer(), q.tx.Producer(); i != end; i++ {
		if idx, ok := q.umem.Index(q.tx.At(i).Addr); ok && q.slots[idx].op != nil {
			do(q.slots[idx].op)
		}
	}
}

// hold stops the queue because the link is down. kickMu is held.
func (q *queue) hold() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.state != queueUp {
		return
	}
	q.state = queueDown
	q.log.Info("link is down, datagrams wait", "interface", q.dev.ifname(), "queue", q.id, "waiting", q.inflight)
	q.eachPosted(func(op *wsk.SendOp) {
		t, pr := &op.Transport, progressOf(op)
		if t.Linked || pr.hold != holdNone {
			return
		}
		if q.mayWait(op) {
			pr.hold = holdArmed
			return
		}
		if t.Status == wsk.STATUS_SUCCESS {
			t.Status = wsk.STATUS_CANCELLED
		}
		q.withdraw = true
	})
	q.poll.wake()
}

// mayWait arms an operation that has to wait, unless it is cancelled, or its source was aborted when it did not wait yet. mu
// is held.
func (q *queue) mayWait(op *wsk.SendOp) bool {
	return !op.Transport.Via.(*flow).src.aborted.Load() && op.ArmCancel(q)
}

// linkUp goes on where hold stopped. The poller does the rest; in zero-copy mode all of it, since a link that is up may have
// no carrier, of which the kernel must be asked.
func (q *queue) linkUp() {
	q.kickMu.Lock()
	q.mu.Lock()
	q.wasDown = false
	if !q.zeroCopy {
		q.resume()
	}
	q.mu.Unlock()
	q.unlockKick()
	q.poll.wake()
}

// probeLink kicks a queue whose link is down, in case the event that it is up again was missed, and collects what the
// device still gives back. kickMu is held.
func (q *queue) probeLink() {
	q.harvest()
	if q.zeroCopy {
		q.probeZeroCopy()
		return
	}
	published, before := q.tx.Producer(), q.tx.Consumer()
	lockrank.AssertMay(locks.Kick, "a kick")
	errno := q.sock.Kick() // also of an empty ring: behind a cancellation everything waits on the list
	if xdp.ClassifyKick(errno) == xdp.KickLinkDown {
		return
	}
	q.mu.Lock()
	q.resume()
	q.mu.Unlock()
	q.kicked(errno, published, before) // what it says of a frame holds
	q.turn()
}

// resume lets a queue go on whose link is up. mu is held.
func (q *queue) resume() {
	q.wasDown = false
	if q.state != queueDown {
		return
	}
	q.state, q.withdraw = queueUp, false // what was cancelled leaves with the rest
	for i := range q.slots {
		// Not only what is in the ring: the kernel may have consumed some meanwhile.
		if op := q.slots[i].op; op != nil {
			q.unarm(op)
		}
	}
	q.refill()
}

// consumedOutstanding is the number of frames that the kernel has taken out of the ring and not given back.
func (q *queue) consumedOutstanding() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.inflight - int(q.tx.Pending())
}

// unarm ends the cancellability of a posted operation. mu is held.
func (q *queue) unarm(op *wsk.SendOp) {
	pr := progressOf(op)
	if pr.hold != holdArmed {
		return
	}
	pr.hold = holdNone
	if !op.DisarmCancel() {
		q.expect(op)
	}
}

// expect keeps an operation that is on no list for the canceller that has won it: whatever becomes of its frames and of the
// queue meanwhile, it ends when that has come. mu is held.
func (q *queue) expect(op *wsk.SendOp) {
	progressOf(op).hold = holdExpected
	progressOf(op).frames++
}
