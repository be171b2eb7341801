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
	// costs as much of a processor, and a tail must not wait for more than 50. While bursts fill and there was no tail for
	// tailMemory, the watcher looks more and more seldom, up to tailSeldom; the first tail after that waits as long, once.
	tailLook   = 30 * time.Microsecond
	tailSeldom = 250 * time.Microsecond
	tailMemory = 10 * time.Millisecond
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
	dozing atomic.Bool // read by every send that leaves a frame to a burst
	token  chan struct{}
	_      [64]byte

	mu      lockrank.Mutex[locks.TailMu]
	queues  []*Queue
	added   bool // to queues, since the watcher last asked
	running bool

	tails uint64 // kicked; the watcher's alone
}

func (w *tailWatcher) Init() { w.token = make(chan struct{}, 1) }

// add puts a queue into the high gear.
func (w *tailWatcher) add(q *Queue) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Contains(w.queues, q) {
		return
	}
	q.tail = tailState{began: time.Now(), mark: q.look().submitted}
	q.poll.high.Store(true)
	w.queues, w.added = append(slices.Clone(w.queues), q), true
	if !w.running {
		w.running = true
		q.host.GoRun(w.run)
	}
	w.wake()
}

// remove puts a queue back into the low gear. Its poller serves whoever left a frame to a burst before, and who comes
// later kicks.
func (w *tailWatcher) remove(q *Queue) {
	w.mu.Lock()
	w.queues = slices.DeleteFunc(slices.Clone(w.queues), func(other *Queue) bool { return other == q })
	q.poll.high.Store(false)
	w.mu.Unlock()
	q.poll.wake()
}

// wake ends a doze. It never blocks.
func (w *tailWatcher) wake() {
	select {
	case w.token <- struct{}{}:
	default:
	}
}

// watched returns the queues in the high gear, and whether there are new ones; with none the watcher has ended.
func (w *tailWatcher) watched() (queues []*Queue, added bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running, added, w.added = len(w.queues) != 0, w.added, false
	return w.queues, added
}

// tailPace is how often the watcher looks.
type tailPace struct {
	nap  time.Duration
	tail time.Time // when there was one, or may have been
}

// next is how long to sleep after a look, which has found a tail or not.
func (p *tailPace) next(now time.Time, tail bool) time.Duration {
	switch {
	case tail:
		p.nap, p.tail = tailLook, now
	case now.Sub(p.tail) > tailMemory:
		p.nap = min(p.nap*2, tailSeldom)
	}
	return p.nap
}

func (w *tailWatcher) run() {
	doze := time.NewTimer(dozeLook)
	defer doze.Stop()
	var pace tailPace
	for {
		queues, unknown := w.watched()
		if len(queues) == 0 {
			return
		}
		quiet, tails := true, w.tails
		for _, q := range queues {
			if !w.visit(q) {
				w.remove(q) // whoever adds it again has its state, too
				continue
			}
			quiet = quiet && q.tail.empty >= dozeAfter
		}
		if quiet {
			w.doze(queues, doze)
			pace.next(time.Now(), true)
			continue
		}
		runtime.Gosched() // to sleep is to keep the processor from others
		nap(pace.next(time.Now(), unknown || w.tails != tails))
	}
}

// doze sleeps until a sender leaves a frame to a burst or a completion to somebody else, or for dozeLook. The sender either
// sees dozing set or has left its frame before the look here.
func (w *tailWatcher) doze(queues []*Queue, timer *time.Timer) {
	w.dozing.Store(true)
	defer w.dozing.Store(false)
	for _, q := range queues {
		// A drive in progress that leaves something to harvest sees dozing when it ends.
		if now := q.look(); now.unpublished > 0 || now.inflight > 0 && !q.driving.Load() {
			return
		}
	}
	timer.Reset(dozeLook)
	select {
	case <-w.token:
	case <-timer.C:
	}
}

// stuck reports whether, since the last look, nothing has moved although something should.
func (g glance) stuck(last glance) bool {
	return g.submitted == last.submitted && g.completed == last.completed &&
		(g.unpublished > 0 || g.inflight > int(g.unpublished))
}

// tailState is the watcher's memory of a queue in the high gear. It is the watcher's alone.
type tailState struct {
	last  glance
	moved bool // something went on at the last look
	empty int  // looks in a row at which nothing was there to be left behind

	// Since began: the frames submitted then, and the tails kicked.
	began time.Time
	mark  uint64
	tails uint64
}

// visit is one look at a queue in the high gear. It kicks a tail, and reports false when the load is over.
//
// It keeps away from what a sender writes as long as it can: each look at a line of its takes that line from it.
func (w *tailWatcher) visit(q *Queue) (loaded bool) {
	t := &q.tail
	due := time.Since(t.began) > 2*loadWindow
	if q.driving.Load() && !due {
		// Whoever kicks now does it for everything that is there.
		t.moved = true
		t.empty++
		return true
	}
	now, ok := tryLook(q)
	if !ok {
		t.moved = true
		return true
	}
	if now.state != queueUp {
		return false
	}
	switch {
	case q.driving.Load():
		t.empty++
	case !t.moved && now.stuck(t.last), now.unpublished > 0 && spinUntilSettled(q, now):
		t.empty = 0
		if now.unpublished > 0 {
			t.tails++
			w.tails++ // otherwise only completions are late, as a device that saves interrupts brings them
		}
		q.drive()
	case now.unpublished > 0 || now.inflight > 0:
		t.empty = 0
	default:
		t.empty++
	}
	t.last, t.moved = now, false
	return !due || stillLoaded(q, now)
}

// tryLook is look unless somebody is building: to wait would make the sender wake this thread.
func tryLook(q *Queue) (glance, bool) {
	if !q.mu.TryLock() {
		return glance{}, false
	}
	defer q.mu.Unlock()
	return glanceLocked(q), true
}

// spinUntilSettled reports whether a burst in the making is none any more. It keeps its processor busy for tailSettle: no
// sleep is as short.
func spinUntilSettled(q *Queue, before glance) bool {
	for began := time.Now(); time.Since(began) < tailSettle; {
	}
	now, ok := tryLook(q)
	return ok && !q.driving.Load() && now.submitted == before.submitted && now.unpublished > 0
}

// stillLoaded is the balance over some milliseconds.
func stillLoaded(q *Queue, now glance) bool {
	t := &q.tail
	frames := now.submitted - t.mark
	if t.tails*loadTails <= frames && frames >= loadFrames {
		t.began, t.mark, t.tails = time.Now(), now.submitted, 0
		return true
	}
	if t.tails*loadTails > frames {
		q.kickMu.Lock()
		q.meter.holdoff = time.Now().Add(loadHoldoff)
		q.unlockKick()
	}
	return false
}
