// SPDX-License-Identifier: Apache-2.0

package send

import (
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
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
