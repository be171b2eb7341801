// SPDX-License-Identifier: Apache-2.0

package datapath

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
	high  atomic.Bool // set and cleared by the tail watcher
	idle  atomic.Bool // asleep until the next wake
	ended atomic.Bool
}

func (p *poller) init() { p.token = make(chan struct{}, 1) }

// wake makes the poller look. It never blocks.
func (p *poller) wake() {
	select {
	case p.token <- struct{}{}:
	default:
	}
}

// highGear reports whether the tail watcher looks after the queue, so that a frame may wait for a burst.
func (p *poller) highGear() bool { return p.high.Load() }

// Intervals between looks while frames are under way. The first is what a device that completes by interrupt needs; the
// last bounds the cost of a peer that holds completions back for long.
const (
	pollFirst = 50 * time.Microsecond
	pollLast  = 5 * time.Millisecond
	// downPoll is how often a queue whose link is down is kicked all the same, should the event have been missed.
	downPoll = time.Second
)

// pollLoop is the poller's goroutine. It ends when the queue is gone.
func (q *queue) pollLoop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var watch stallWatch
	interval := pollFirst
	for {
		before := q.completedCount()
		state, left := q.pollOnce(&watch)
		q.drainDone()
		switch {
		case state == queueGone:
			q.poll.ended.Store(true)
			q.drainDone()
			return
		case q.again.Load() && state != queueBroken: // there the note asks for nothing but drainDone
			continue
		case !left, state == queueUp && q.poll.highGear():
			watch.reset()
			q.poll.idle.Store(true)
			<-q.poll.token
			q.poll.idle.Store(false)
			interval = pollFirst
			continue
		case state == queueDown:
			interval = min(interval*2, downPoll)
		case state == queueBroken:
			interval = rebuildRetry
		case q.completedCount() != before:
			interval = pollFirst
		default:
			interval = min(interval*2, pollLast)
		}
		timer.Reset(interval)
		select {
		case <-timer.C:
		case <-q.poll.token:
			if state == queueDown {
				interval = pollFirst
			}
		}
	}
}

// pollOnce does one look: kick, harvest, and whatever repair is due.
func (q *queue) pollOnce(watch *stallWatch) (state queueState, left bool) {
	q.repair()
	q.kickMu.Lock()
	defer q.kickMu.Unlock()
	q.again.Store(false)
	q.mu.Lock()
	state = q.state
	withdraw := q.withdraw
	q.mu.Unlock()
	switch {
	case state == queueGone:
		return state, false
	case state == queueBroken:
	case state == queueDown && withdraw:
		if q.consumedOutstanding() == 0 || watch.expired(q, q.stallTimeout()) {
			q.breakdown("operations were cancelled that wait for the link", wsk.STATUS_IO_TIMEOUT)
		} else {
			q.harvest()
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
	q.mu.Lock()
	state = q.state
	q.mu.Unlock()
	return state, q.outstanding()
}

// drainDone runs all completion routines that are due.
func (q *queue) drainDone() {
	for q.done.Run(ops.RoutineBudget) {
	}
}

func (q *queue) stallTimeout() time.Duration { return q.host.stallTimeout }

func (q *queue) completedCount() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stats.completed
}

// stallWatch measures how long frames have been under way without a single completion.
type stallWatch struct {
	since     time.Time
	completed uint64
	warned    bool
}

func (w *stallWatch) reset() { *w = stallWatch{} }

func (w *stallWatch) expired(q *queue, limit time.Duration) bool {
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
// done; the second time the frames are lost. kickMu is held.
func (q *queue) stalled(w *stallWatch) {
	if q.inflightCount() == 0 {
		return
	}
	if q.zeroCopy && q.stalledZeroCopy() {
		w.reset()
		return
	}
	if !w.warned {
		w.warned = true
		q.log.Warn("no completion from the kernel", "interface", q.dev.ifname(), "queue", q.id,
			"frames", q.inflightCount(), "for", q.stallTimeout())
		return
	}
	w.warned = false
	q.breakdown("no completion for twice the stall timeout", wsk.STATUS_IO_TIMEOUT)
}

func (q *queue) inflightCount() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.inflight
}
