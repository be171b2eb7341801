// SPDX-License-Identifier: Apache-2.0

package send

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// Path is how the datagrams of a flow leave, as the routing tables have it while it stands. Immutable.
type Path struct {
	layout
	generation uint64          // of the routing tables, when they were asked
	standing   *route.Standing // what the answer rests on; nil: that generation
	queue      *Queue          // nil: through the companion socket
	refuse     bool
	proof      offload.Key
	resolved   time.Time

	neighbourIf int // the neighbour to keep alive; 0 for group addresses and the slow path
	neighbour   neighbourAddr

	why      slowReason     // queue is nil
	obstacle route.Obstacle // of that reason

	groupIf int  // the interface of a group, else 0
	looped  bool // the kernel hands it to sockets of this host too

	// Of connections that the kernel tracks: local is the source, where they matter at all, and egress the interface; until is
	// when the kernel is to see another datagram of the flow, zero where it need not; shut says that nothing leaves before it
	// has seen one.
	local  netip.Addr
	egress int
	until  time.Time
	shut   bool

	// drains is the path that this one has taken the place of, while what was begun by that one, or waits in its queue, goes on
	// as it was.
	drains *Path

	// Of a shared flow. labels is nil for IPv4.
	hop    *route.Hop
	labels route.FlowLabels
}

// shutPath is the path of a flow while the kernel is to see a datagram, or to send what it has, before AF_XDP carries more by p.
func shutPath(p *Path) *Path {
	shut := *p
	shut.queue, shut.drains, shut.shut = nil, p, true
	return &shut
}

// through is the path by which what waits in a queue goes on there; nil when it has none any more.
func (p *Path) through(q *Queue) *Path {
	for p != nil && p.queue != q {
		p = p.drains
	}
	return p
}

// leadsTo reports whether a flow that has p leads through a queue, at once or when what keeps it shut is over.
func (p *Path) leadsTo(q *Queue) bool {
	return p.queue == q || p.shut && p.drains != nil && p.drains.queue == q
}

// Flow is one destination of a source: the way there, or the operations that wait for it to be found. Or it is shared, and then a
// way that is known, for all destinations behind one gateway that have no flow of their own; nothing waits there.
type Flow struct {
	to     wsk.Destination // of a shared flow only common counts
	src    *Source
	shared bool
	common common
	// lastUse of a shared flow is when the janitor last found it used; its alone.
	lastUse time.Time
	// gathers says that destinations wait here that have in common with this one what common is, until the search has ended;
	// gathered are those, and counted is how many are counted as searches, under the lock of the table.
	gathers  bool
	gathered []wsk.Destination
	counted  int
	path     atomic.Pointer[Path]
	used     atomic.Bool // since the janitor last looked
	// forgotten says that the table does not have it any more, so that no cache may. It changes with mu held.
	forgotten atomic.Bool

	// waiters is the length of waiting plus what the resolver has taken off it and not yet passed on. While it is not zero
	// new operations queue up behind, so that the order of the calls is kept.
	waiters atomic.Int32

	mu        lockrank.Mutex[locks.FlowMu]
	withdrawn uint32 // counts what makes a way wrong that is being looked for
	waiting   ops.List
	resolving bool // a worker has the flow, or will have it, or its look is parked
	holding   holding

	job  job
	look atomic.Pointer[look] // for its way; set and cleared by its resolver alone
	left *Queue               // that the flow leaves through; its resolver's alone

	// Its resolver's alone, which has an opener go on for it. entry is of a connection that the kernel tracks.
	opener  job
	opening *Path
	entry   entry
	stack   stack
}

// send passes op on when the way is known and nothing waits before it; otherwise op waits here.
func (f *Flow) send(op *wsk.SendOp) {
	if p := f.path.Load(); p != nil && f.waiters.Load() == 0 && f.src.Host.stands(p) {
		if f.forward(op, p) {
			return
		}
	}
	f.enqueue(op)
}

// forward passes op on by a path. It reports false when the flow has left that meanwhile.
func (f *Flow) forward(op *wsk.SendOp, p *Path) (taken bool) {
	if !f.used.Load() {
		f.used.Store(true)
	}
	if p.queue == nil {
		return !p.shut && f.sendSlow(op)
	}
	return p.queue.send(op, f, p)
}

// sendSlow hands an operation to the kernel's stack, unless the flow does not lead there any more.
func (f *Flow) sendSlow(op *wsk.SendOp) (taken bool) {
	f.stack.entering.Add(1)
	defer f.stack.entering.Add(-1)
	if p := f.path.Load(); p == nil || p.queue != nil || p.shut {
		return false
	}
	f.src.Slow.Send(op)
	return true
}

// leads reports whether the flow, of which somebody has seen the path p, still leads through the queue of that.
func (f *Flow) leads(p *Path, q *Queue) bool {
	now := f.path.Load()
	return now == p || now != nil && now.queue == q
}

// enqueue makes op wait for a resolution, and starts one unless it runs.
func (f *Flow) enqueue(op *wsk.SendOp) {
	if status := f.admit(op); status != wsk.STATUS_PENDING {
		f.src.Host.Finish(op, status)
	}
}

// admit is enqueue for a caller that may hold a queue's lock; the operation is not taken, and ends, where the answer is not
// STATUS_PENDING.
func (f *Flow) admit(op *wsk.SendOp) wsk.NTSTATUS {
	f = f.lockOwn(op)
	defer f.mu.Unlock()
	return f.admitLocked(op)
}

func (f *Flow) admitLocked(op *wsk.SendOp) wsk.NTSTATUS {
	if status := f.sought(op); status != wsk.STATUS_PENDING {
		return status
	}
	if !mayWait(op, f) {
		return wsk.STATUS_CANCELLED // the look goes on without it
	}
	f.waiting.PushBack(op)
	f.waiters.Add(1)
	return wsk.STATUS_PENDING
}

// takeIn is admit for an operation to another destination, if the flow gathers.
func (f *Flow) takeIn(op *wsk.SendOp) (status wsk.NTSTATUS, taken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.gathers {
		return wsk.STATUS_SUCCESS, false
	}
	return f.admitLocked(op), true
}

// sought has the way looked for of an operation that is about to wait. It answers STATUS_PENDING, or why it can't. The caller holds f.mu.
func (f *Flow) sought(op *wsk.SendOp) wsk.NTSTATUS {
	op.Transport.Via = f
	op.SetProgress(wsk.SendSought)
	switch {
	case !f.resolving && !f.seek():
		return resolveStatus(errTooManySearches, &f.to, false)
	case !f.holding.takes(op):
		return wsk.STATUS_INVALID_BUFFER_SIZE
	}
	return wsk.STATUS_PENDING
}

// hold tells what waits that it may be for long, since a look is parked after a turn, and ends what is too long.
func (f *Flow) hold(turn, longest int) {
	var refused ops.List
	f.mu.Lock()
	f.waiters.Add(-f.holding.hold(turn, longest, &f.waiting, &refused))
	f.mu.Unlock()
	f.src.Host.FinishAll(&refused)
}

// readmit has an operation of f wait again ahead of all that waits, and behind it what else of its flow waits in a queue. The
// operation is not taken where the answer is not STATUS_PENDING. The caller holds q.mu.
func (f *Flow) readmit(op *wsk.SendOp, q *Queue) wsk.NTSTATUS {
	f = f.lockOwn(op)
	defer f.mu.Unlock()
	if status := f.sought(op); status != wsk.STATUS_PENDING {
		return status
	}
	f.takeBackLocked(q)
	if !mayWait(op, f) {
		return wsk.STATUS_CANCELLED
	}
	var all ops.List
	all.PushBack(op)
	all.Append(&f.waiting)
	f.waiting = all
	f.waiters.Add(1)
	return wsk.STATUS_PENDING
}

// isLoose reports whether operations that have left by f look for another way, should they need one, each in the flow of its own
// destination.
func (f *Flow) isLoose() bool { return f.shared || f.forgotten.Load() }

// lockOwn is the flow of nothing but the destination of an operation that f has, with its mu locked.
func (f *Flow) lockOwn(op *wsk.SendOp) *Flow {
	for own := f; ; own = f.src.flows.insert(f.src, &op.To) {
		own.mu.Lock()
		if !own.isLoose() {
			return own
		}
		own.mu.Unlock()
	}
}

// has reports whether an operation that a queue has goes on by the way of f.
func (f *Flow) has(op *wsk.SendOp) bool {
	via := op.Transport.Via.(*Flow)
	return via == f || via.src == f.src && via.isLoose() && isSame(&op.To, &f.to)
}

// mayWait makes an operation that has to wait cancellable, unless it is cancelled, or its source was aborted when it did not
// wait yet. The caller holds the lock that c takes.
func mayWait(op *wsk.SendOp, c wsk.Canceller) bool {
	return !op.Transport.Via.(*Flow).src.aborted.Load() && op.ArmCancel(c)
}

// CancelSend implements wsk.Canceller for an operation that waits for its way.
func (f *Flow) CancelSend(op *wsk.SendOp) {
	f.mu.Lock()
	f.unlinkLocked(op)
	f.mu.Unlock()
	f.src.Host.Finish(op, wsk.STATUS_CANCELLED)
}

func (f *Flow) unlinkLocked(op *wsk.SendOp) {
	if op.Transport.Linked {
		f.waiting.Remove(op)
		f.waiters.Add(-1)
	}
}

// abort cancels everything that waits here. The source's aborted flag is set already.
func (f *Flow) abort() {
	f.fail(wsk.STATUS_CANCELLED)
	if l := f.look.Load(); l != nil {
		l.giveUp(context.Canceled)
	}
}

// fail ends everything that waits here.
func (f *Flow) fail(status wsk.NTSTATUS) {
	var failed ops.List
	f.mu.Lock()
	for op := f.waiting.Head; op != nil; op = f.waiting.Head {
		f.unlinkLocked(op)
		if op.DisarmCancel() {
			op.Transport.Status = status
			failed.PushBack(op)
		}
	}
	f.mu.Unlock()
	f.src.Host.FinishAll(&failed)
}

// never is no generation of the routing tables: a path that has it is looked up again before anything takes it.
const never = ^uint64(0)

// withdraw makes the flow look for its way anew before it sends again; a look that has begun is of no use any more. What has been
// handed over goes on as it was.
func (f *Flow) withdraw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.withdrawn++
	for p := f.path.Load(); p != nil; p = f.path.Load() {
		stale := *p
		stale.generation, stale.standing = never, nil
		if f.path.CompareAndSwap(p, &stale) { // a proof may end at this moment
			return
		}
	}
}

func (f *Flow) withdrawals() uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.withdrawn
}
