// SPDX-License-Identifier: Apache-2.0

package send

import (
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// What a flow does so that its order is kept when its way changes: for good, or for one datagram that the kernel is to see.
//
// When the way of a flow comes to lead through another queue, what waits in the old one, whose link may stay down for
// ever, leaves by the new way. The flow takes it back, ahead of what has come to it meanwhile, so that order is kept. What
// lies in the ring of a link that is down goes back to the waiting list first, by way of a new socket; in that of a link that is up it
// leaves at once, before anything does by the new way.

// takeBack takes back what waits in a queue that the flow does not lead through any more; where it leaves the queue for the first
// time, nothing more of it goes there from then on. What is begun stays, and ends there. No lock is held, and the flow is being
// resolved, or will be.
func (f *Flow) takeBack(q *Queue, leaves bool) {
	q.mu.Lock()
	f.mu.Lock()
	if leaves {
		// A sender that is about to put something into the queue finds the flow so, and has it wait here instead.
		f.path.Store(&Path{generation: never, shut: true, drains: f.path.Load().through(q)})
	}
	f.takeBackLocked(q)
	f.mu.Unlock()
	q.mu.Unlock()
	q.complete()
}

// takeBackLocked takes back what is not begun. The caller holds q.mu and f.mu.
func (f *Flow) takeBackLocked(q *Queue) {
	var back ops.List
	for op := q.waiting.Head; op != nil; {
		next := op.Transport.Next
		if !progressOf(op).begun() && f.has(op) {
			pr := progressOf(op)
			q.waiting.Remove(op)
			op.Transport.Via = f
			switch {
			case !op.DisarmCancel():
				pr.canceller = cancellerComing
			case !mayWait(op, f):
				q.abandon(op, wsk.STATUS_CANCELLED)
			default:
				back.PushBack(op)
			}
		}
		op = next
	}
	f.waiters.Add(int32(back.N))
	back.Append(&f.waiting)
	f.waiting = back
}

// clearRing lets leave what of the flow lies in the ring of a queue, or takes it back if its link is down.
func (f *Flow) clearRing(q *Queue) {
	q.kickMu.Lock()
	q.mu.Lock()
	up := q.state == queueUp
	if up {
		q.tx.publish()
	}
	q.mu.Unlock()
	if up {
		q.driveLocked()
	}
	posted := false
	q.mu.Lock()
	if q.state == queueDown {
		q.tx.eachPosted(func(op *wsk.SendOp) { posted = posted || f.has(op) })
	}
	q.mu.Unlock()
	if posted {
		q.breakDown("datagrams that wait for the link have another way", wsk.STATUS_IO_TIMEOUT)
		// At once, while the poller can't have a new socket: by a link that is up again what is on the list would leave beside what
		// goes the new way.
		q.mu.Lock()
		f.mu.Lock()
		f.takeBackLocked(q)
		f.mu.Unlock()
		q.mu.Unlock()
	}
	q.unlockKick()
}

// follow is called when a flow has found its way, before it is taken: what waits in the queue that it led through before
// comes with it, and what was begun there goes on there. Only the resolver of the flow calls it.
func (f *Flow) follow(p *Path) {
	p.drains = f.path.Load().behind(p.queue)
	if f.left != nil && f.left != p.queue {
		f.takeBack(f.left, true)
		f.clearRing(f.left)
		f.takeBack(f.left, false)
	}
	for _, q := range f.src.flows.shared.leadThrough(p.queue) {
		if q != p.queue && q != f.left && f.isIn(q) { // what has left by a shared flow
			f.takeBack(q, false)
			f.clearRing(q)
			f.takeBack(q, false)
		}
	}
	f.left = p.queue
}

// behind is the path by which something may still have to go on when a flow that has p comes to lead through q; nil when there is none.
func (p *Path) behind(q *Queue) *Path {
	for ; p != nil; p = p.drains {
		if p.queue != nil && p.queue != q && !p.queue.poll.ended.Load() {
			last := *p
			last.drains = nil
			return &last
		}
	}
	return nil
}

// take makes p the way of the flow. It reports false, and does not, where that was withdrawn since the look for p began.
func (f *Flow) take(p *Path, withdrawn uint32) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.withdrawn != withdrawn {
		return false
	}
	f.path.Store(p)
	return true
}

// passing is how far passOn has come.
type passing uint8

const (
	passedOn  passing = iota // nothing waits any more
	passesOn                 // more has come, again and again
	passesNot                // operations wait for which the path is too old
)

// passRounds is how often passOn takes what waits before others have their turn.
const passRounds = 16

// passOn sends everything that waits, in order, by the way that the flow has taken. It takes all that waits at once, so that it gains
// on a sender that keeps adding to the end.
func (f *Flow) passOn() passing {
	for range passRounds {
		f.mu.Lock()
		if f.waiting.Head == nil {
			f.arrived()
			return passedOn
		}
		p := f.path.Load()
		if !f.src.Host.stands(p) {
			f.mu.Unlock()
			return passesNot
		}
		taken := int32(f.waiting.N)
		var ready ops.List
		for op := f.waiting.PopFront(); op != nil; op = f.waiting.PopFront() {
			if op.DisarmCancel() {
				ready.PushBack(op)
			}
		}
		f.mu.Unlock()
		for op := ready.PopFront(); op != nil; op = ready.PopFront() {
			if !isSame(&op.To, &f.to) {
				f.passOther(op)
			} else if !f.forward(op, p) {
				rest := ops.List{}
				rest.PushBack(op)
				rest.Append(&ready)
				f.putBack(&rest)
			}
		}
		f.waiters.Add(-taken)
	}
	return passesOn
}

// putBack has operations wait again that were taken off to be passed on, ahead of what has come meanwhile.
func (f *Flow) putBack(list *ops.List) {
	var back, cancelled ops.List
	f.mu.Lock()
	for op := list.PopFront(); op != nil; op = list.PopFront() {
		op.Transport.Via = f
		if mayWait(op, f) {
			back.PushBack(op)
			continue
		}
		op.Transport.Status = wsk.STATUS_CANCELLED
		cancelled.PushBack(op)
	}
	f.waiters.Add(int32(back.N))
	back.Append(&f.waiting)
	f.waiting = back
	f.mu.Unlock()
	f.src.Host.FinishAll(&cancelled)
}

// track finds out whether the kernel has to see a datagram of the flow before AF_XDP carries it by the path of a look. Where answers
// come past the kernel's stack, too, it has not.
func (f *Flow) track(l *look) {
	p := l.path
	if f.src.Host.Tracking == nil || l.hop.Kind != route.Unicast {
		return
	}
	p.local, p.egress = l.source, l.hop.Interface
	switch {
	case !f.isTracked(p):
		f.entry = entry{}
	case !time.Now().Before(f.entry.until):
		p.shut = true
	case f.entry.translated:
		p.slow(f, slowNAT)
	default:
		p.until = f.entry.until
	}
}

func (f *Flow) isTracked(p *Path) bool {
	if !f.src.Host.Tracking.InUse(p.local) {
		return false
	}
	return f.src.Redirected == nil || !f.src.Redirected(p.egress, p.local.Is4())
}

// wantsOpening reports whether the kernel is to see a datagram of a flow that leaves by AF_XDP.
func (f *Flow) wantsOpening(p *Path, now time.Time) bool {
	if p.queue == nil || !p.local.IsValid() {
		return false
	}
	if p.until.IsZero() {
		return f.isTracked(p)
	}
	return now.After(p.until)
}

// beginOpening has an opener show the kernel a datagram, or wait for what it has; the flow stays in resolution, and what comes waits.
func (f *Flow) beginOpening(p *Path) {
	f.opening = p
	f.src.Host.openers.add(&f.opener, f.src.Host.GoRun)
}

// open has the kernel send the first operation that waits, and the resolver go on. What the kernel refuses ends, and the next
// takes its turn. Where nothing waits, the next operation begins anew.
func (f *Flow) open() {
	p, host := f.opening, f.src.Host
	if f.stack.drain(f.src.Slow); !p.shut {
		f.goOn()
		return
	}
	isCurrent := func() bool {
		now := f.path.Load()
		return now != nil && now.shut && now.generation == p.generation && host.stands(p)
	}
	if f.src.Redirected != nil && !waitUntil(host.Ctx, startLimit, f.src.hasStarted) {
		host.Log.Debug("an endpoint that sends has not begun to receive")
	}
	if !f.isTracked(p) {
		f.goOn()
		return
	}
	if !waitUntil(host.Ctx, drainLimit, func() bool { return !isCurrent() || !f.isUnderWay(p.queue) }) {
		f.entry.until = time.Now().Add(drainAgain)
		f.goOn()
		return
	}
	for isCurrent() {
		f.mu.Lock()
		op := f.waiting.PopFront()
		if op == nil {
			f.arrived()
			return
		}
		mine := op.DisarmCancel()
		f.mu.Unlock()
		status := wsk.STATUS_CANCELLED
		if mine {
			status = f.src.Slow.SendAndWait(op)
		}
		f.waiters.Add(-1)
		if status == wsk.STATUS_SUCCESS {
			host.Stats.Opened.Add(1)
			f.entry = opened(host.Tracking, netip.AddrPortFrom(p.local, f.src.Local.Port()),
				netip.AddrPortFrom(f.to.IP().WithZone(""), f.to.Port))
			break
		}
	}
	f.goOn()
}

// isUnderWay reports whether a queue has operations of the flow, and sees to it that they go on.
func (f *Flow) isUnderWay(q *Queue) bool {
	q.drive()
	return f.isIn(q)
}

// isIn reports whether a queue has operations of the flow.
func (f *Flow) isIn(q *Queue) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for op := q.waiting.Head; op != nil; op = op.Transport.Next {
		if f.has(op) {
			return true
		}
	}
	for i := range q.tx.slots {
		if op := q.tx.slots[i].op; op != nil && f.has(op) {
			return true
		}
	}
	return false
}
