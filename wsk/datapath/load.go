// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// A queue has two gears. Idle or lightly loaded, every send kicks for itself: nothing is faster for one datagram. Under
// load a kick per datagram halves the rate. Then senders only build, and the one whose frame fills a burst publishes and
// kicks for all; a plain loop of single sends so runs at the speed of bursts, and on the processor that has the frames
// in its cache, where handing the kicks to another thread costs more than it takes over (0.09 µs a frame on veth). The
// poller meanwhile looks every few microseconds whether a tail is waiting for a burst that does not fill.
const (
	// A queue is loaded when loadFrames frames were sent in less than loadWindow: 200,000 a second.
	loadFrames = 256
	loadWindow = loadFrames * 5 * time.Microsecond
	// loadBurst is how many frames make a burst. It is the default budget of a kick: more is two kicks.
	loadBurst = 64
	// tailLook is the interval at which the poller looks for a tail. A tail is seen twice before it is kicked, so that a burst
	// in the making is left alone: it waits for two intervals at most. A look costs some 10 µs of another processor in
	// a guest, so after dozeAfter looks at nothing the poller dozes until a sender leaves a frame behind.
	tailLook  = 20 * time.Microsecond
	dozeAfter = 50
	dozeLook  = 5 * time.Millisecond
	// A client that waits for each send before the next is as fast as load in the low gear, and would be slowed by the other. It
	// shows by its tails: when more than one frame in loadTails was one, the queue stays in the low gear for
	// loadHoldoff.
	loadTails   = 16
	loadHoldoff = 200 * time.Millisecond
)

// loadMeter measures how fast frames are published. kickMu guards it.
type loadMeter struct {
	mark    uint32
	at      time.Time
	holdoff time.Time // not loaded before
}

// loaded reports whether the queue has become busy enough for the high gear. kickMu is held.
func (q *queue) loaded() bool {
	producer := q.tx.Producer()
	if producer-q.meter.mark < loadFrames {
		return false
	}
	now := time.Now()
	fast := now.Sub(q.meter.at) < loadWindow && now.After(q.meter.holdoff)
	q.meter.mark, q.meter.at = producer, now
	return fast && q.dev.dp.processors > 1 && !q.dev.dp.opts.LowGear
}

// tailWatch is what the poller saw of a queue in the high gear.
type tailWatch struct {
	submitted, completed uint64
	unpublished          uint32
	inflight             int
	up                   bool
}

func (q *queue) look() tailWatch {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lookLocked()
}

func (q *queue) lookLocked() tailWatch {
	return tailWatch{q.stats.submitted, q.stats.completed, q.unpublished, q.inflight, q.state == queueUp}
}

// stuck reports whether, since the last look, nothing has moved although something should.
func (w tailWatch) stuck(last tailWatch) bool {
	return w.submitted == last.submitted && w.completed == last.completed &&
		(w.unpublished > 0 && last.unpublished > 0 || w.inflight > int(w.unpublished))
}

// watchTails is the poller in the high gear. It returns when the load is over.
func (q *queue) watchTails() {
	// The thread's own timer slack, 50 µs as a rule, would double the interval.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	defer unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
	doze := time.NewTimer(dozeLook)
	defer doze.Stop()

	last := q.look()
	began, mark, tails, empty := time.Now(), last.submitted, uint64(0), 0
	for last.up {
		if empty < dozeAfter {
			interval := unix.NsecToTimespec(int64(tailLook))
			unix.Nanosleep(&interval, nil)
		} else {
			q.doze(doze)
		}
		if !q.mu.TryLock() {
			// Somebody is building. To wait would make the sender wake this thread, for each look.
			last.submitted++
			continue
		}
		now := q.lookLocked()
		q.mu.Unlock()
		driven := q.driving.Load() // a kick takes longer than a look apart
		if !driven && now.stuck(last) {
			tails++
			q.drive()
		} else {
			q.done.run(routineBudget) // what a sender's budget left behind
		}
		if empty++; now.unpublished > 0 || !driven && now.inflight > 0 {
			empty = 0
		}
		last = now
		if t := time.Now(); t.Sub(began) > 2*loadWindow {
			frames := now.submitted - mark
			if tails*loadTails > frames {
				q.kickMu.Lock()
				q.meter.holdoff = t.Add(loadHoldoff)
				q.kickMu.Unlock()
				break
			}
			if frames < loadFrames {
				break
			}
			began, mark, tails = t, now.submitted, 0
		}
	}
	// Whoever left a frame to a burst before this store is served by the look that follows; whoever comes after it kicks.
	q.poll.high.Store(false)
}

// doze sleeps until a sender leaves a frame to a burst or a completion to somebody else, or for dozeLook. The sender either
// sees dozing set or has left its frame before the look here.
func (q *queue) doze(timer *time.Timer) {
	q.poll.dozing.Store(true)
	defer q.poll.dozing.Store(false)
	// A drive in progress that leaves something to harvest sees dozing when it ends.
	if now := q.look(); now.unpublished > 0 || now.inflight > 0 && !q.driving.Load() {
		return
	}
	timer.Reset(dozeLook)
	select {
	case <-q.poll.token:
	case <-timer.C:
	}
}
