// SPDX-License-Identifier: Apache-2.0

package send

import (
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

const (
	// tailLook is how long the watcher sleeps between two looks. A look comes some 10 µs late in a guest, where it also
	// costs as much of a processor, and a tail must not wait for more than 50.
	tailLook = 30 * time.Microsecond
	// tailSettle is how long nothing is added to a burst before it passes for a tail.
	tailSettle = 2 * time.Microsecond
	// After dozeAfter looks at nothing the watcher dozes until a sender leaves a frame behind.
	dozeAfter = 50
	dozeLook  = 5 * time.Millisecond
)

// tailWatcher looks every few microseconds whether a frame is waiting, in any queue in the high gear, for a burst that does
// not fill. There is one for all queues, and a goroutine only while there is load: it keeps a processor of the
// run-time's even while it sleeps, because to give that back and to get it again, as a system call does, makes threads
// start and stop for each look, which costs the senders more than the look.
type tailWatcher struct {
	_      [64]byte
	Dozing atomic.Bool // read by every send that leaves a frame to a burst
	token  chan struct{}
	_      [64]byte

	Mu      lockrank.Mutex[locks.TailMu]
	Queues  []*Queue
	Running bool
}

func (w *tailWatcher) Init() { w.token = make(chan struct{}, 1) }

// Add puts a queue into the high gear.
func (w *tailWatcher) Add(q *Queue) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	if slices.Contains(w.Queues, q) {
		return
	}
	q.Tail = TailState{began: time.Now(), mark: q.Look().submitted}
	q.Poll.High.Store(true)
	w.Queues = append(slices.Clone(w.Queues), q)
	if !w.Running {
		w.Running = true
		q.host.GoRun(w.run)
	}
	w.wake()
}

// remove puts a queue back into the low gear. Its poller serves whoever left a frame to a burst before, and who comes
// later kicks.
func (w *tailWatcher) remove(q *Queue) {
	w.Mu.Lock()
	w.Queues = slices.DeleteFunc(slices.Clone(w.Queues), func(other *Queue) bool { return other == q })
	q.Poll.High.Store(false)
	w.Mu.Unlock()
	q.Poll.Wake()
}

// wake ends a doze. It never blocks.
func (w *tailWatcher) wake() {
	select {
	case w.token <- struct{}{}:
	default:
	}
}

// watched returns the queues in the high gear; with none the watcher has ended.
func (w *tailWatcher) watched() []*Queue {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.Running = len(w.Queues) != 0
	return w.Queues
}

func (w *tailWatcher) run() {
	doze := time.NewTimer(dozeLook)
	defer doze.Stop()
	for {
		queues := w.watched()
		if len(queues) == 0 {
			return
		}
		quiet := true
		for _, q := range queues {
			if !q.lookForTail() {
				w.remove(q) // whoever adds it again has its state, too
				continue
			}
			quiet = quiet && q.Tail.empty >= dozeAfter
		}
		if quiet {
			w.doze(queues, doze)
			continue
		}
		runtime.Gosched() // to sleep is to keep the processor from others
		nap(tailLook)
	}
}

// doze sleeps until a sender leaves a frame to a burst or a completion to somebody else, or for dozeLook. The sender either
// sees dozing set or has left its frame before the look here.
func (w *tailWatcher) doze(queues []*Queue, timer *time.Timer) {
	w.Dozing.Store(true)
	defer w.Dozing.Store(false)
	for _, q := range queues {
		// A drive in progress that leaves something to harvest sees dozing when it ends.
		if now := q.Look(); now.unpublished > 0 || now.inflight > 0 && !q.driving.Load() {
			return
		}
	}
	timer.Reset(dozeLook)
	select {
	case <-w.token:
	case <-timer.C:
	}
}

// tailLooks is what the watcher saw of a queue.
type tailLooks struct {
	submitted, completed uint64
	unpublished          uint32
	inflight             int
	up                   bool
}

func (q *Queue) Look() tailLooks {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	return q.lookLocked()
}

func (q *Queue) lookLocked() tailLooks {
	return tailLooks{q.stats.submitted, q.stats.completed, q.unpublished, q.Inflight, q.State == queueUp}
}

// stuck reports whether, since the last look, nothing has moved although something should.
func (l tailLooks) stuck(last tailLooks) bool {
	return l.submitted == last.submitted && l.completed == last.completed &&
		(l.unpublished > 0 || l.inflight > int(l.unpublished))
}

// TailState is the watcher's memory of a queue in the high gear. It is the watcher's alone.
type TailState struct {
	last  tailLooks
	moved bool // something went on at the last look
	empty int  // looks in a row at which nothing was there to be left behind

	// Since began: the frames submitted then, and the tails kicked.
	began time.Time
	mark  uint64
	Tails uint64
}

// lookForTail is one look at a queue in the high gear. It kicks a tail, and reports false when the load is over.
//
// It keeps away from what a sender writes as long as it can: each look at a line of its takes that line from it.
func (q *Queue) lookForTail() (loaded bool) {
	t := &q.Tail
	due := time.Since(t.began) > 2*loadWindow
	if q.driving.Load() && !due {
		// Whoever kicks now does it for everything that is there.
		t.moved = true
		t.empty++
		return true
	}
	now, ok := q.tryLook()
	if !ok {
		t.moved = true
		return true
	}
	if !now.up {
		return false
	}
	switch {
	case q.driving.Load():
		t.empty++
	case !t.moved && now.stuck(t.last), now.unpublished > 0 && q.settled(now):
		t.empty = 0
		if now.unpublished > 0 {
			t.Tails++ // otherwise only completions are late, as a device that saves interrupts brings them
		}
		q.Drive()
	case now.unpublished > 0 || now.inflight > 0:
		t.empty = 0
	default:
		t.empty++
	}
	t.last, t.moved = now, false
	return !due || q.StillLoaded(now)
}

// tryLook is look unless somebody is building: to wait would make the sender wake this thread.
func (q *Queue) tryLook() (tailLooks, bool) {
	if !q.Mu.TryLock() {
		return tailLooks{}, false
	}
	defer q.Mu.Unlock()
	return q.lookLocked(), true
}

// settled reports whether a burst in the making is none any more.
func (q *Queue) settled(before tailLooks) bool {
	for began := time.Now(); time.Since(began) < tailSettle; {
	}
	now, ok := q.tryLook()
	return ok && !q.driving.Load() && now.submitted == before.submitted && now.unpublished > 0
}

// StillLoaded is the balance over some milliseconds.
func (q *Queue) StillLoaded(now tailLooks) bool {
	t := &q.Tail
	frames := now.submitted - t.mark
	if t.Tails*loadTails <= frames && frames >= loadFrames {
		t.began, t.mark, t.Tails = time.Now(), now.submitted, 0
		return true
	}
	if t.Tails*loadTails > frames {
		q.KickMu.Lock()
		q.meter.holdoff = time.Now().Add(loadHoldoff)
		q.UnlockKick()
	}
	return false
}
