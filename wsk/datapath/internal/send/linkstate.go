// SPDX-License-Identifier: Apache-2.0

package send

import (
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// While a link is administratively down, descriptors stay in the ring, where no list reaches them. To keep their
// operations cancellable they are armed one by one, and the ring is emptied (see rebuild.go) once one is cancelled.
// How far that went is in the canceller of their progress.

// stop stops the queue because the link is down. kickMu is held.
func (q *Queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.state != queueUp {
		return
	}
	q.state = queueDown
	q.log.Info("link is down, datagrams wait", "interface", q.dev.Name(), "queue", q.id, "waiting", q.tx.inflight)
	q.tx.eachPosted(func(op *wsk.SendOp) {
		t, pr := &op.Transport, progressOf(op)
		if t.Linked || pr.canceller != cancellerNone {
			return
		}
		if mayWait(op, q) {
			pr.canceller = cancellerArmed
			return
		}
		if t.Status == wsk.STATUS_SUCCESS {
			t.Status = wsk.STATUS_CANCELLED
		}
		q.withdraw = true
	})
	q.poll.wake()
}

// LinkUp lets the queue go on where it stopped. The poller does the rest; in zero-copy mode all of it, since a link that is up may have
// no carrier, of which the kernel must be asked.
func (q *Queue) LinkUp() {
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

// resume lets a queue go on whose link is up. mu is held.
func (q *Queue) resume() {
	q.wasDown = false
	if q.state != queueDown {
		return
	}
	q.state, q.withdraw = queueUp, false // what was cancelled leaves with the rest
	for i := range q.tx.slots {
		// Not only what is in the ring: the kernel may have consumed some meanwhile.
		if op := q.tx.slots[i].op; op != nil {
			disarm(op)
		}
	}
	q.refill()
	q.tx.publish()
}

// CheckDevice reports whether the device that a queue's socket is bound to is still there, and ends the queue if not: another
// may have its index by now. In copy mode a kick tells, whether or not anything is to be sent; a zero-copy queue passes, since
// its driver may refuse kicks for want of an XDP program.
func CheckDevice(q *Queue) (there bool) {
	q.kickMu.Lock()
	if !q.closed && !q.zeroCopy {
		published, before := q.tx.ring.Producer(), q.tx.ring.Consumer()
		lockrank.AssertMay(locks.Kick, "a kick")
		q.afterKick(q.sock.Kick(), published, before)
	}
	there = q.look().state != queueGone
	q.unlockKick()
	q.complete()
	return there
}

// In zero-copy mode a kick only wakes the driver, whose NAPI context does the rest at its own time:
//
//	copy mode                                     zero-copy mode
//	a kick transmits, and says what was dropped   a kick says whether the driver serves the queue
//	without carrier frames are dropped            without carrier they wait in the ring, in silence
//	ENXIO: the device is gone                     also: the driver resets, or has lost its XDP program
//	completions come with the kick                completions come by interrupt, in any order
//
// A frame that the driver has taken and that a reset flushes is completed like any other.

// afterZeroCopyKick deals with what the driver said to a kick. kickMu is held.
func (q *Queue) afterZeroCopyKick(errno syscall.Errno) {
	switch xdp.ClassifyZeroCopyKick(errno) {
	case xdp.KickDone, xdp.KickLimited:
	case xdp.KickLinkDown:
		q.stop()
	case xdp.KickUnserved:
		// The device is gone, or it has been reset and the socket must be bound again. Only netlink knows which.
		if !q.dev.LinkNow().Exists {
			q.giveUp(wsk.STATUS_FILE_FORCED_CLOSED)
			return
		}
		q.kickFails("the driver does not serve the queue any more: " + errno.Error())
	case xdp.KickGone:
		q.giveUp(wsk.STATUS_FILE_FORCED_CLOSED)
	default:
		q.kickFails("kick: " + errno.Error())
	}
}

// CarrierLost stops a zero-copy queue: its frames wait in the ring, where they could not be cancelled.
func (q *Queue) CarrierLost() {
	q.kickMu.Lock()
	defer q.unlockKick()
	if q.zeroCopy && !q.closed {
		q.stop()
	}
}

// noticeLink stops a zero-copy queue with a new socket if there is no carrier: no driver says so, and some lose what they are
// given then. The queue is up already, so that a loss from now on is heard of. kickMu is held.
func (q *Queue) noticeLink() {
	if !q.zeroCopy {
		return
	}
	if link := q.dev.LinkNow(); link.Exists && !link.Carrier {
		q.stop()
	}
}

// ProgramTaken rebuilds a zero-copy queue whose XDP program somebody took off the interface.
func (q *Queue) ProgramTaken() {
	q.kickMu.Lock()
	if q.zeroCopy && !q.closed {
		q.breakDown("somebody has taken the XDP program off the interface", wsk.STATUS_IO_TIMEOUT)
	}
	q.unlockKick()
	q.complete()
}
