// SPDX-License-Identifier: Apache-2.0

package send

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
func (q *Queue) eachPosted(do func(*wsk.SendOp)) {
	q.publishLocked()
	for i, end := q.Tx.Consumer(), q.Tx.Producer(); i != end; i++ {
		if idx, ok := q.Umem.Index(q.Tx.At(i).Addr); ok && q.Slots[idx].Op != nil {
			do(q.Slots[idx].Op)
		}
	}
}

// hold stops the queue because the link is down. KickMu is held.
func (q *Queue) hold() {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	if q.State != queueUp {
		return
	}
	q.State = queueDown
	q.log.Info("link is down, datagrams wait", "interface", q.Dev.Name(), "queue", q.Id, "waiting", q.Inflight)
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
	q.Poll.Wake()
}

// mayWait arms an operation that has to wait, unless it is cancelled, or its source was aborted when it did not wait yet. mu
// is held.
func (q *Queue) mayWait(op *wsk.SendOp) bool {
	return !op.Transport.Via.(*Flow).src.Aborted.Load() && op.ArmCancel(q)
}

// LinkUp goes on where hold stopped. The poller does the rest; in zero-copy mode all of it, since a link that is up may have
// no carrier, of which the kernel must be asked.
func (q *Queue) LinkUp() {
	q.KickMu.Lock()
	q.Mu.Lock()
	q.wasDown = false
	if !q.zeroCopy {
		q.Resume()
	}
	q.Mu.Unlock()
	q.UnlockKick()
	q.Poll.Wake()
}

// probeLink kicks a queue whose link is down, in case the event that it is up again was missed, and collects what the
// device still gives back. KickMu is held.
func (q *Queue) probeLink() {
	q.Harvest()
	if q.zeroCopy {
		q.probeZeroCopy()
		return
	}
	published, before := q.Tx.Producer(), q.Tx.Consumer()
	lockrank.AssertMay(locks.Kick, "a kick")
	errno := q.sock.Kick() // also of an empty ring: behind a cancellation everything waits on the list
	if xdp.ClassifyKick(errno) == xdp.KickLinkDown {
		return
	}
	q.Mu.Lock()
	q.Resume()
	q.Mu.Unlock()
	q.kicked(errno, published, before) // what it says of a frame holds
	q.turn()
}

// Resume lets a queue go on whose link is up. mu is held.
func (q *Queue) Resume() {
	q.wasDown = false
	if q.State != queueDown {
		return
	}
	q.State, q.withdraw = queueUp, false // what was cancelled leaves with the rest
	for i := range q.Slots {
		// Not only what is in the ring: the kernel may have consumed some meanwhile.
		if op := q.Slots[i].Op; op != nil {
			q.unarm(op)
		}
	}
	q.Refill()
}

// consumedOutstanding is the number of frames that the kernel has taken out of the ring and not given back.
func (q *Queue) consumedOutstanding() int {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	return q.Inflight - int(q.Tx.Pending())
}

// unarm ends the cancellability of a posted operation. mu is held.
func (q *Queue) unarm(op *wsk.SendOp) {
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
func (q *Queue) expect(op *wsk.SendOp) {
	progressOf(op).hold = holdExpected
	progressOf(op).frames++
}
