// SPDX-License-Identifier: Apache-2.0

package send

import (
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// poller looks after what a send left behind: completions that come later than the kick, a ring that the kernel would
// not empty at once, completion routines beyond a caller's budget. The kernel wakes nobody for the completion ring, so
// while frames are under way it looks again and again, at growing intervals; otherwise it sleeps for good.
type poller struct {
	q     *Queue
	token chan struct{}
	high  atomic.Bool // the tail watcher looks after the queue; it alone sets and clears this
	idle  atomic.Bool // asleep until the next wake
	ended atomic.Bool // the queue is gone, and everything that it had has ended
	// absence is changed with kickMu held.
	absence absence
}

func (p *poller) init(q *Queue) {
	p.q, p.token = q, make(chan struct{}, 1)
	q.done.Left = q.completeLater
}

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
// last bounds the cost of a peer that keeps completions back for long.
const (
	pollFirst = 50 * time.Microsecond
	pollLast  = 5 * time.Millisecond
	// downPoll is how often a queue whose link is down is kicked all the same, should the event have been missed.
	downPoll = time.Second
)

// loop is the poller's goroutine. It ends when the queue is gone.
func (p *poller) loop() {
	q := p.q
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	watch := stallWatch{q: q}
	interval := pollFirst
	for {
		before := q.look().completed
		now, left := p.once(&watch)
		if left && (now.state == queueDown || now.state == queueBroken) {
			q.lookAgain(nil)
		}
		q.done.Drain()
		switch {
		case now.state == queueGone:
			p.ended.Store(true)
			q.done.Drain()
			return
		case q.again.isLeft() && now.state != queueBroken: // there the note asks for nothing but completions
			continue
		case !left, now.state == queueUp && p.highGear():
			watch.reset()
			p.idle.Store(true)
			<-p.token
			p.idle.Store(false)
			interval = pollFirst
			continue
		case now.state == queueDown:
			interval = min(interval*2, downPoll)
		case now.state == queueBroken:
			interval = rebuildRetry
		case q.look().completed != before:
			interval = pollFirst
		default:
			interval = min(interval*2, pollLast)
		}
		timer.Reset(interval)
		select {
		case <-timer.C:
		case <-p.token:
			if now.state == queueDown {
				interval = pollFirst
			}
		}
	}
}

// once does one look: kick, harvest, and whatever repair is due.
func (p *poller) once(watch *stallWatch) (now glance, left bool) {
	q := p.q
	if q.repair() {
		p.turn()
	}
	q.kickMu.Lock()
	defer q.kickMu.Unlock()
	q.again.take()
	q.mu.Lock()
	state, withdraw := q.state, q.withdraw
	if state == queueUp {
		q.tx.publish()
	}
	q.mu.Unlock()
	switch {
	case state == queueGone, state == queueBroken:
	case state == queueDown && withdraw:
		if consumed(q) == 0 || watch.expired() {
			q.breakDown("operations were cancelled that wait for the link", wsk.STATUS_IO_TIMEOUT)
		} else {
			q.harvest(false)
		}
	case state == queueDown:
		p.probeLink()
	default:
		q.driveLocked()
		watch.nudge()
		if watch.expired() {
			watch.stalled()
		}
	}
	return q.look(), unfinished(q)
}

// turn tells the flows of all sources that the queue has come to be away, or that it is back. No lock is held.
func (p *poller) turn() {
	if p.absence.err() != nil {
		p.forsake()
		return
	}
	p.q.log.Info("the queue has a socket again, datagrams leave through AF_XDP", "interface", p.q.dev.Name(), "queue", p.q.id)
	for _, s := range p.q.host.Sources() {
		s.Hasten()
	}
}

// forsake has all that leads through the queue look for another way before it sends again.
func (p *poller) forsake() {
	for _, s := range p.q.host.Sources() {
		s.flows.eachPath(func(f *Flow) {
			if path := f.path.Load(); path != nil && path.generation != never && path.leadsTo(p.q) {
				f.withdraw()
			}
		})
	}
}

// consumed is the number of frames that the kernel has taken out of the ring and not given back.
func consumed(q *Queue) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tx.consumed()
}

// probeLink kicks a queue whose link is down, in case the event that it is up again was missed, and collects what the
// device still gives back. kickMu is held.
func (p *poller) probeLink() {
	q := p.q
	q.harvest(false)
	if q.zeroCopy {
		p.probeCarrier()
		return
	}
	published, before := q.tx.ring.Producer(), q.tx.ring.Consumer()
	lockrank.AssertMay(locks.Kick, "a kick")
	errno := q.sock.Kick() // also of an empty ring: behind a cancellation everything waits on the list
	if xdp.ClassifyKick(errno) == xdp.KickLinkDown {
		return
	}
	q.mu.Lock()
	q.resume()
	q.mu.Unlock()
	q.afterKick(errno, published, before) // what it says of a frame holds
	q.driveLocked()
}

// probeCarrier is probeLink for zero-copy: the driver must be willing, and there must be a carrier. kickMu is held.
func (p *poller) probeCarrier() {
	q := p.q
	if q.closed || !q.dev.LinkNow().Carrier {
		return
	}
	switch errno := q.sock.Kick(); xdp.ClassifyZeroCopyKick(errno) {
	case xdp.KickDone, xdp.KickLimited:
		q.mu.Lock()
		q.resume()
		q.mu.Unlock()
		q.driveLocked()
	case xdp.KickLinkDown:
	default:
		q.afterZeroCopyKick(errno)
	}
}

// lookAgain looks whether the routes have changed for what rests in a queue, of one source or, with nil, of all, and has it leave by
// another way. No lock is held.
func (q *Queue) lookAgain(src *Source) {
	if q.poll.absence.err() != nil && rests(q) {
		q.poll.forsake() // a look that had begun when it came to be away may have ended there
	}
	flows := make(map[*Flow]bool) // whether they lead through another queue
	loose := make(map[wsk.Destination]*Source)
	look := func(op *wsk.SendOp) {
		f := op.Transport.Via.(*Flow)
		if src != nil && f.src != src {
			return
		}
		if f.isLoose() {
			loose[op.To] = f.src
			return
		}
		path := f.path.Load()
		if path == nil || !path.leadsTo(q) || !q.host.stands(path) {
			flows[f] = path != nil && !path.leadsTo(q)
		}
	}
	q.mu.Lock()
	for op := q.waiting.Head; op != nil; op = op.Transport.Next {
		look(op)
	}
	if q.state == queueDown {
		q.tx.eachPosted(look)
	}
	q.mu.Unlock()
	for to, src := range loose {
		if _, p, _, _ := src.leads(&to, false); p == nil || p.queue != q {
			flows[src.flows.insert(src, &to)] = false // which fetches what there is when it has its way
		}
	}
	for f, elsewhere := range flows {
		if elsewhere {
			f.takeBack(q, false)
		}
		if !f.prefetch() {
			f.fail(resolveStatus(errTooManySearches, &f.to, false))
		}
	}
}

// rests reports whether a queue has operations that may leave later than what leaves through another queue now.
func rests(q *Queue) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting.Head != nil || q.tx.inflight != 0 && (q.state != queueUp || q.tx.unpublished != 0 || q.tx.ring.Pending() != 0)
}

// isSettled reports whether what rests in queues leads where the routes with this number lead it; if not, a worker sees to that.
func (t *sharedFlows) isSettled(s *Source, routes uint64) bool {
	list := t.queues.Load()
	if list == nil || len(*list) < 2 || t.settled.Load() == routes {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	resting := false
	for _, q := range *list {
		resting = resting || rests(q)
	}
	switch {
	case !resting:
		t.settled.Store(routes)
		return true
	case !t.settling:
		t.settling, t.job.run = true, s.settle
		s.Host.workers.add(&t.job, s.Host.GoRun)
	}
	t.target = routes
	return false
}

// settle gives what rests in the queues of a source, and comes to lead elsewhere, flows of its own.
func (s *Source) settle() {
	t := &s.flows.shared
	t.mu.Lock()
	changes, target, list := t.changes, t.target, *t.queues.Load()
	t.mu.Unlock()
	for _, q := range list {
		q.drive()
		q.lookAgain(s)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settling = false
	if t.changes == changes {
		t.settled.Store(target)
	}
}
