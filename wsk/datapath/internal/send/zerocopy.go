// SPDX-License-Identifier: Apache-2.0

package send

import (
	"syscall"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// In zero-copy mode a kick only wakes the driver, whose NAPI context does the rest at its own time:
//
//	copy mode                                     zero-copy mode
//	a kick transmits, and says what was dropped   a kick says whether the driver serves the queue
//	without carrier frames are dropped            without carrier they wait in the ring, in silence
//	ENXIO: the device is gone                     also: the driver resets, or has lost its XDP program
//	completions come with the kick                completions come by interrupt, in any order
//
// A frame that the driver has taken and that a reset flushes is completed like any other.

// kickedZeroCopy deals with what the driver said to a kick. KickMu is held.
func (q *Queue) kickedZeroCopy(errno syscall.Errno) {
	switch xdp.ClassifyZeroCopyKick(errno) {
	case xdp.KickDone, xdp.KickLimited:
	case xdp.KickLinkDown:
		q.hold()
	case xdp.KickUnserved:
		q.unserved(errno)
	case xdp.KickGone:
		q.GiveUp(wsk.STATUS_FILE_FORCED_CLOSED)
	default:
		q.Breakdown("kick: "+errno.Error(), wsk.STATUS_IO_TIMEOUT)
	}
}

// unserved is called when the driver knows nothing of the queue any more: the device is gone, or it has been reset and the
// socket must be bound again. Only netlink knows which. KickMu is held.
func (q *Queue) unserved(errno syscall.Errno) {
	if !q.Dev.LinkNow().Exists {
		q.GiveUp(wsk.STATUS_FILE_FORCED_CLOSED)
		return
	}
	q.Breakdown("the driver does not serve the queue any more: "+errno.Error(), wsk.STATUS_IO_TIMEOUT)
}

// nudgeAfter is how long frames may be with the driver without a completion before it is woken for the completions alone.
// A driver that has nothing to send may not look at what it has sent before its next interrupt.
const nudgeAfter = 2 * time.Millisecond

// nudge wakes the driver although there is nothing new to send. KickMu is held.
func (q *Queue) nudge(w *StallWatch) {
	if !q.zeroCopy || q.Out || w.since.IsZero() || time.Since(w.since) < nudgeAfter || q.consumedOutstanding() <= 0 {
		return
	}
	lockrank.AssertMay(locks.Kick, "a kick")
	if errno, kicked := q.sock.KickIfNeeded(); kicked {
		q.kickedZeroCopy(errno)
	}
}

// stalledZeroCopy is stalled for a driver that may have a good reason. It reports whether there is one. KickMu is held.
func (q *Queue) stalledZeroCopy() (excused bool) {
	if link := q.Dev.LinkNow(); link.Exists && !link.Carrier {
		q.hold()
		return true
	}
	if !q.Out {
		q.kickedZeroCopy(q.sock.Kick()) // whatever the flag says
	}
	return false
}

// CarrierLost holds a zero-copy queue: its frames wait in the ring, where they could not be cancelled.
func (q *Queue) CarrierLost() {
	q.KickMu.Lock()
	defer q.UnlockKick()
	if q.zeroCopy && !q.Out {
		q.hold()
	}
}

// noticeLink holds a zero-copy queue with a new socket if there is no carrier: no driver says so, and some lose what they are
// given then. The queue is up already, so that a loss from now on is heard of. KickMu is held.
func (q *Queue) noticeLink() {
	if !q.zeroCopy {
		return
	}
	if link := q.Dev.LinkNow(); link.Exists && !link.Carrier {
		q.hold()
	}
}

// probeZeroCopy is probeLink for zero-copy: the driver must be willing, and there must be a carrier. KickMu is held.
func (q *Queue) probeZeroCopy() {
	if q.Out || !q.Dev.LinkNow().Carrier {
		return
	}
	switch errno := q.sock.Kick(); xdp.ClassifyZeroCopyKick(errno) {
	case xdp.KickDone, xdp.KickLimited:
		q.Mu.Lock()
		q.Resume()
		q.Mu.Unlock()
		q.turn()
	case xdp.KickLinkDown:
	default:
		q.kickedZeroCopy(errno)
	}
}

// ProgramTaken rebuilds a zero-copy queue whose XDP program somebody took off the interface.
func (q *Queue) ProgramTaken() {
	q.KickMu.Lock()
	if q.zeroCopy && !q.Out {
		q.Breakdown("somebody has taken the XDP program off the interface", wsk.STATUS_IO_TIMEOUT)
	}
	q.UnlockKick()
	q.RunDone()
}
