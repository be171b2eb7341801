// SPDX-License-Identifier: Apache-2.0

package send

import (
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
)

// poller looks after what a send left behind: completions that come later than the kick, a ring that the kernel would
// not empty at once, completion routines beyond a caller's budget. The kernel wakes nobody for the completion ring, so
// while frames are under way it looks again and again, at growing intervals; otherwise it sleeps for good.
type poller struct {
	token chan struct{}
	High  atomic.Bool // set and cleared by the tail watcher
	Idle  atomic.Bool // asleep until the next wake
	Ended atomic.Bool // the queue is gone, and everything that it had has ended
}

func (p *poller) init() { p.token = make(chan struct{}, 1) }

// Wake makes the poller look. It never blocks.
func (p *poller) Wake() {
	select {
	case p.token <- struct{}{}:
	default:
	}
}

// HighGear reports whether the tail watcher looks after the queue, so that a frame may wait for a burst.
func (p *poller) HighGear() bool { return p.High.Load() }

// Intervals between looks while frames are under way. The first is what a device that completes by interrupt needs; the
// last bounds the cost of a peer that holds completions back for long.
const (
	pollFirst = 50 * time.Microsecond
	pollLast  = 5 * time.Millisecond
	// downPoll is how often a queue whose link is down is kicked all the same, should the event have been missed.
	downPoll = time.Second
)

// pollLoop is the poller's goroutine. It ends when the queue is gone.
func (q *Queue) pollLoop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var watch StallWatch
	interval := pollFirst
	for {
		before := q.completedCount()
		state, left := q.PollOnce(&watch)
		q.drainDone()
		switch {
		case state == QueueGone:
			q.Poll.Ended.Store(true)
			q.drainDone()
			return
		case q.again.Load() && state != QueueBroken: // there the note asks for nothing but drainDone
			continue
		case !left, state == queueUp && q.Poll.HighGear():
			watch.reset()
			q.Poll.Idle.Store(true)
			<-q.Poll.token
			q.Poll.Idle.Store(false)
			interval = pollFirst
			continue
		case state == queueDown:
			interval = min(interval*2, downPoll)
		case state == QueueBroken:
			interval = RebuildRetry
		case q.completedCount() != before:
			interval = pollFirst
		default:
			interval = min(interval*2, pollLast)
		}
		timer.Reset(interval)
		select {
		case <-timer.C:
		case <-q.Poll.token:
			if state == queueDown {
				interval = pollFirst
			}
		}
	}
}

// PollOnce does one look: kick, harvest, and whatever repair is due.
func (q *Queue) PollOnce(watch *StallWatch) (state queueState, left bool) {
	q.repair()
	q.KickMu.Lock()
	defer q.KickMu.Unlock()
	q.again.Store(false)
	q.Mu.Lock()
	state = q.State
	withdraw := q.withdraw
	q.Mu.Unlock()
	switch {
	case state == QueueGone:
		return state, false
	case state == QueueBroken:
	case state == queueDown && withdraw:
		if q.consumedOutstanding() == 0 || watch.expired(q, q.stallTimeout()) {
			q.Breakdown("operations were cancelled that wait for the link", wsk.STATUS_IO_TIMEOUT)
		} else {
			q.Harvest()
		}
	case state == queueDown:
		q.probeLink()
	default:
		q.turn()
		q.nudge(watch)
		if watch.expired(q, q.stallTimeout()) {
			q.stalled(watch)
		}
	}
	q.Mu.Lock()
	state = q.State
	q.Mu.Unlock()
	return state, q.outstanding()
}

// drainDone runs all completion routines that are due.
func (q *Queue) drainDone() {
	for q.done.Run(ops.RoutineBudget) {
	}
}

func (q *Queue) stallTimeout() time.Duration { return q.host.StallTimeout }

func (q *Queue) completedCount() uint64 {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	return q.stats.completed
}

// StallWatch measures how long frames have been under way without a single completion.
type StallWatch struct {
	since     time.Time
	completed uint64
	warned    bool
}

func (w *StallWatch) reset() { *w = StallWatch{} }

func (w *StallWatch) expired(q *Queue, limit time.Duration) bool {
	now := time.Now()
	completed := q.completedCount()
	if w.since.IsZero() || completed != w.completed {
		w.since, w.completed, w.warned = now, completed, false
		return false
	}
	if now.Sub(w.since) < limit {
		return false
	}
	w.since = now
	return true
}

// stalled is called when nothing came back for a stall timeout: the first time it only kicks, which turn has
// done; the second time the frames are lost. KickMu is held.
func (q *Queue) stalled(w *StallWatch) {
	if q.inflightCount() == 0 {
		return
	}
	if q.zeroCopy && q.stalledZeroCopy() {
		w.reset()
		return
	}
	if !w.warned {
		w.warned = true
		q.log.Warn("no completion from the kernel", "interface", q.Dev.Name(), "queue", q.Id,
			"frames", q.inflightCount(), "for", q.stallTimeout())
		return
	}
	w.warned = false
	q.Breakdown("no completion for twice the stall timeout", wsk.STATUS_IO_TIMEOUT)
}

func (q *Queue) inflightCount() int {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	return q.Inflight
}
