// SPDX-License-Identifier: Apache-2.0

package send

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// stallWatch measures how long frames have been under way without a single completion. It is the poller's.
type stallWatch struct {
	q         *Queue
	since     time.Time
	completed uint64
	warned    bool
}

func (w *stallWatch) reset() { *w = stallWatch{q: w.q} }

// expired reports whether nothing has come back for a stall timeout, once for each.
func (w *stallWatch) expired() bool {
	now := time.Now()
	completed := w.q.look().completed
	if w.since.IsZero() || completed != w.completed {
		w.since, w.completed, w.warned = now, completed, false
		return false
	}
	if now.Sub(w.since) < w.q.host.StallTimeout {
		return false
	}
	w.since = now
	return true
}

// stalled is called when nothing came back for a stall timeout: the first time the queue was only kicked, which the poller has
// done; the second time the frames are lost. kickMu is held.
func (w *stallWatch) stalled() {
	q := w.q
	frames := q.look().inflight
	if frames == 0 {
		return
	}
	if q.zeroCopy && w.excused() {
		w.reset()
		return
	}
	if !w.warned {
		w.warned = true
		q.log.Warn("no completion from the kernel", "interface", q.dev.Name(), "queue", q.id,
			"frames", frames, "for", q.host.StallTimeout)
		return
	}
	w.warned = false
	q.breakDown("no completion for twice the stall timeout", wsk.STATUS_IO_TIMEOUT)
}

// excused reports whether a zero-copy driver has a good reason to complete nothing: then the queue stops. Otherwise it is
// woken, whatever its flag says. kickMu is held.
func (w *stallWatch) excused() bool {
	q := w.q
	if link := q.dev.LinkNow(); link.Exists && !link.Carrier {
		q.stop()
		return true
	}
	if !q.closed {
		q.afterZeroCopyKick(q.sock.Kick())
	}
	return false
}

// nudgeAfter is how long frames may be with a zero-copy driver without a completion before it is woken for the completions
// alone. A driver that has nothing to send may not look at what it has sent before its next interrupt.
const nudgeAfter = 2 * time.Millisecond

// nudge wakes the driver although there is nothing new to send. kickMu is held.
func (w *stallWatch) nudge() {
	q := w.q
	if !q.zeroCopy || q.closed || w.since.IsZero() || time.Since(w.since) < nudgeAfter || consumed(q) <= 0 {
		return
	}
	lockrank.AssertMay(locks.Kick, "a kick")
	if errno, kicked := q.sock.KickIfNeeded(); kicked {
		q.afterZeroCopyKick(errno)
	}
}
