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

// Flow is one destination of a source: the way there, or the operations that wait for it to be found.
type Flow struct {
	to   wsk.Destination
	src  *Source
	path atomic.Pointer[Path]
	used atomic.Bool // since the janitor last looked
	// forgotten says that the table does not have it any more, so that no cache may.
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

	// Of a connection that the kernel tracks, its resolver's alone, which has an opener go on for it.
	opener  job
	opening *Path
	entry   entry
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
		if !p.shut {
			f.src.Slow.Send(op)
		}
		return !p.shut
	}
	return p.queue.send(op, f, p)
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
	f.mu.Lock()
	defer f.mu.Unlock()
	op.Transport.Via = f
	op.SetProgress(wsk.SendSought)
	if !f.resolving && !f.seek() {
		return resolveStatus(errTooManySearches, &f.to, false)
	}
	if !f.holding.takes(op) {
		return wsk.STATUS_INVALID_BUFFER_SIZE
	}
	if !mayWait(op, f) {
		return wsk.STATUS_CANCELLED // the look goes on without it
	}
	f.waiting.PushBack(op)
	f.waiters.Add(1)
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

// flowCacheSize is the number of destinations a socket finds without a lock: a power of two, one pointer each.
const flowCacheSize = 64

// maxFlows bounds what a socket remembers besides what it is looking for; beyond it idle flows are forgotten.
const maxFlows = 4096

// flowTable is the set of a source's flows.
type flowTable struct {
	last  atomic.Pointer[Flow]
	cache [flowCacheSize]atomic.Pointer[Flow]

	mu  lockrank.Mutex[locks.FlowsMu]
	all map[wsk.Destination]*Flow

	sought atomic.Int32 // flows whose way is being looked for; what bounds those is maxSearches
}

func cacheSlot(to *wsk.Destination) uint32 {
	h := uint32(to.Port) ^ uint32(to.TOS)<<16
	for i := 0; i < 16; i += 4 {
		h = (h ^ uint32(to.Addr[i]) ^ uint32(to.Addr[i+1])<<8 ^ uint32(to.Addr[i+2])<<16 ^ uint32(to.Addr[i+3])<<24) * 0x9e3779b1
	}
	return h >> 16 & (flowCacheSize - 1)
}

// isSame compares field by field, which the compiler makes into words. For == it calls a comparison of memory.
func isSame(a, b *wsk.Destination) bool {
	return a.Addr == b.Addr && a.Port == b.Port && a.Source == b.Source && a.IfIndex == b.IfIndex &&
		a.TTL == b.TTL && a.TOS == b.TOS && a.Fragment == b.Fragment && a.Flags == b.Flags
}

// find returns the flow of a destination, making it on first use.
func (t *flowTable) find(src *Source, to *wsk.Destination) *Flow {
	slot := &t.cache[cacheSlot(to)]
	f := slot.Load()
	if f == nil || !isSame(&f.to, to) {
		f = t.insert(src, to)
		slot.Store(f)
	}
	t.last.Store(f)
	if f.forgotten.Load() { // since it was found, and perhaps before it was stored
		t.dropCached(f)
	}
	return f
}

func (t *flowTable) insert(src *Source, to *wsk.Destination) *Flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.all[*to]; f != nil {
		return f
	}
	if t.all == nil {
		t.all = make(map[wsk.Destination]*Flow)
	}
	if len(t.all)-int(t.sought.Load()) >= maxFlows {
		t.evictLocked()
	}
	f := &Flow{to: *to, src: src}
	f.job.run, f.opener.run = f.resolve, f.open
	t.all[*to] = f
	return f
}

// evictLook is how many flows are looked at for one that comes: few, since all of a great number may be waited on.
const evictLook = 64

// evictLocked forgets flows that nobody waits on and that were not used lately, of a few; with none idle, one that nobody waits on.
// A sender that still holds a forgotten flow may use it once more; it stays whole, it is only no longer found.
func (t *flowTable) evictLocked() {
	looked, forgotten := 0, 0
	var used *Flow
	for to, f := range t.all {
		switch {
		case f.waiters.Load() != 0:
		case !f.used.Load():
			t.forgetLocked(to, f)
			forgotten++
		default:
			used = f
		}
		if looked++; looked == evictLook {
			break
		}
	}
	if forgotten == 0 && used != nil {
		t.forgetLocked(used.to, used)
	}
}

func (t *flowTable) forgetLocked(to wsk.Destination, f *Flow) {
	delete(t.all, to)
	f.forgotten.Store(true)
	t.dropCached(f)
}

// dropCached makes the next that looks for the destination of f ask the table.
func (t *flowTable) dropCached(f *Flow) {
	t.cache[cacheSlot(&f.to)].CompareAndSwap(f, nil)
	t.last.CompareAndSwap(f, nil)
}

func (t *flowTable) each(do func(*Flow)) {
	t.mu.Lock()
	flows := make([]*Flow, 0, len(t.all))
	for _, f := range t.all {
		flows = append(flows, f)
	}
	t.mu.Unlock()
	for _, f := range flows {
		do(f)
	}
}
