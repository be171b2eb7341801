// SPDX-License-Identifier: Apache-2.0

package send

import (
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

const (
	// flowCacheSize is the number of destinations a socket finds without a lock: a power of two, one pointer each.
	flowCacheSize = 64
	// flowBuckets is how many kinds of destinations are told apart by those who look whether one has a flow of its own.
	flowBuckets = 256
	// maxFlows bounds what a socket remembers besides what it is looking for; beyond it idle flows are forgotten.
	maxFlows = 4096
	// keptFlows is how many flows stay although a shared one would do: a socket with few destinations finds them at once.
	keptFlows = 16
	// maxShared bounds the shared flows of a socket.
	maxShared = 1024
)

// flowTable is the set of a source's flows.
type flowTable struct {
	last  atomic.Pointer[Flow]
	cache [flowCacheSize]atomic.Pointer[Flow]
	count [flowBuckets]atomic.Int32 // of all, by the hash of their destinations

	mu  lockrank.Mutex[locks.FlowsMu]
	all map[wsk.Destination]*Flow

	sought atomic.Int32 // flows whose way is being looked for; what bounds those is maxSearches

	// gatherers are the flows in which others wait for the way that is being looked for, by what they have in common; away are the
	// destinations that wait so, each with the flow where it does. mu guards them. awayCount counts them, and count has them too.
	gatherers map[common]*Flow
	away      map[wsk.Destination]*Flow
	awayCount atomic.Int32

	shared sharedFlows
}

// way finds how an operation leaves: by the path of a shared flow, or, with a nil path, as a flow of its own says. Where it may not
// leave at all, or waits already (STATUS_PENDING), there is no flow, but a status.
func (t *flowTable) way(src *Source, op *wsk.SendOp) (*Flow, *Path, wsk.NTSTATUS) {
	h := hashOf(&op.To)
	if t.awayCount.Load() != 0 && t.count[h%flowBuckets].Load() != 0 {
		if status, taken := t.joins(op); taken {
			return nil, nil, status
		}
	}
	f := t.find(&op.To, h)
	if f == nil {
		shared, p, lead, status := src.shares(op)
		if p != nil || status != wsk.STATUS_SUCCESS {
			return shared, p, status
		}
		if f, status = t.open(src, op, lead); f == nil {
			return nil, nil, status
		}
		t.cache[h%flowCacheSize].Store(f)
	}
	t.last.Store(f)
	if f.forgotten.Load() { // since it was found, and perhaps before it was stored
		t.dropCached(f)
	}
	return f, nil, wsk.STATUS_SUCCESS
}

// find returns the flow that a destination has of its own; nil when it has none. h is its hash.
func (t *flowTable) find(to *wsk.Destination, h uint32) *Flow {
	if t.count[h%flowBuckets].Load() == 0 {
		return nil
	}
	slot := &t.cache[h%flowCacheSize]
	f := slot.Load()
	if f != nil && isSame(&f.to, to) && !f.forgotten.Load() {
		return f
	}
	t.mu.Lock()
	f = t.all[*to]
	t.mu.Unlock()
	if f != nil {
		slot.Store(f)
		if f.forgotten.Load() {
			t.dropCached(f)
		}
	}
	return f
}

// isElsewhere reports whether the routes do not lead a destination any more where they led it when it came to wait in f.
func (f *Flow) isElsewhere(to *wsk.Destination) bool {
	if !f.common.lead.IsValid() {
		return false
	}
	lead, _ := f.src.lead(to, false)
	return lead != f.common.lead
}

// scatter takes off what waits here for other destinations, those only that are led elsewhere unless all is set, and has each look for
// a way of its own; it reports whether there was any. Only the resolver of the flow calls it.
func (f *Flow) scatter(all bool) (any bool) {
	var list, kept ops.List
	f.mu.Lock()
	taken := int32(0)
	for op := f.waiting.Head; op != nil; {
		next := op.Transport.Next
		if !isSame(&op.To, &f.to) {
			f.waiting.Remove(op)
			taken++
			if op.DisarmCancel() {
				list.PushBack(op)
			}
		}
		op = next
	}
	f.mu.Unlock()
	stays := make(map[wsk.Destination]bool) // routes may change meanwhile, and none must be overtaken by another to the same
	for op := list.PopFront(); op != nil; op = list.PopFront() {
		if !all && (stays[op.To] || !f.isElsewhere(&op.To)) {
			stays[op.To] = true
			kept.PushBack(op)
		} else {
			f.passOther(op)
		}
	}
	f.putBack(&kept)
	f.waiters.Add(-taken)
	return taken != 0
}

// own is the flow that a destination has of its own, which nobody else finds sooner for that; nil where it has none.
func (t *flowTable) own(to *wsk.Destination) *Flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[*to]
}

// insert returns the flow of a destination alone, making it on first use.
func (t *flowTable) insert(src *Source, to *wsk.Destination) *Flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.insertLocked(src, to)
}

func (t *flowTable) insertLocked(src *Source, to *wsk.Destination) *Flow {
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
	f.stack.used = src.isStackSending() // perhaps what was sent to this destination when it had another flow
	t.all[*to] = f
	t.count[hashOf(to)%flowBuckets].Add(1)
	return f
}

// evictLook is how many flows are looked at for one that comes: few, since all of a great number may be waited on.
const evictLook = 64

// evictLocked forgets flows that nobody waits on and that were not used lately, of a few; with none idle, one that nobody waits on.
// A sender that still holds a forgotten flow may use it once more; it stays whole, it is only no longer found.
func (t *flowTable) evictLocked() {
	looked, forgotten := 0, 0
	var used *Flow
	for _, f := range t.all {
		switch {
		case f.waiters.Load() != 0:
		case f.used.Load():
			used = f
		case t.forgetLocked(f, f.path.Load()):
			forgotten++
		}
		if looked++; looked == evictLook {
			break
		}
	}
	if forgotten == 0 && used != nil {
		t.forgetLocked(used, used.path.Load())
	}
}

// forgetLocked forgets a flow unless something waits there, its way is being looked for, or is another than as.
func (t *flowTable) forgetLocked(f *Flow, as *Path) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.resolving || f.waiters.Load() != 0 || f.path.Load() != as {
		return false
	}
	f.gathers = false
	delete(t.all, f.to)
	t.count[hashOf(&f.to)%flowBuckets].Add(-1)
	f.forgotten.Store(true)
	t.dropCached(f)
	return true
}

// dissolve forgets a flow for which a shared one does as long as it has the path that as is.
func (t *flowTable) dissolve(f *Flow, as *Path) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) > keptFlows && t.all[f.to] == f {
		t.forgetLocked(f, as)
	}
}

// dropCached makes the next that looks for the destination of f ask the table.
func (t *flowTable) dropCached(f *Flow) {
	t.cache[hashOf(&f.to)%flowCacheSize].CompareAndSwap(f, nil)
	t.last.CompareAndSwap(f, nil)
}

// each visits the flows that destinations have of their own.
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

// eachPath visits all flows.
func (t *flowTable) eachPath(do func(*Flow)) {
	t.each(do)
	t.shared.each(do)
}

// query is what the routes are asked about a destination. The error says that source and destination do not go together.
func (s *Source) query(to *wsk.Destination) (q route.Query, err error) {
	q = s.Asks
	q.Src, err = sourceOf(to, s.Local.Addr())
	q.Dst, q.SrcPort, q.DstPort = to.IP(), s.Local.Port(), to.Port
	q.Interface, q.TOS = int(to.IfIndex), to.TOS
	if to.Mark != 0 {
		q.Mark = to.Mark
	}
	return q, err
}

// shares is led for an operation that leaves so.
func (s *Source) shares(op *wsk.SendOp) (f *Flow, p *Path, lead route.Lead, status wsk.NTSTATUS) {
	f, p, lead, routes, status := s.led(&op.To)
	if p != nil {
		progressOf(op).routes, progressOf(op).label = uint32(routes), p.labelOf(op)
	}
	return f, p, lead, status
}

// led finds the shared flow of a destination that has none of its own, with its path, which is whole and stands, and the number of the
// routes by which it was found; no path where there is none, but the lead of which it would be. Where the guard refuses the
// destination there is no path, but a status.
func (s *Source) led(to *wsk.Destination) (f *Flow, p *Path, lead route.Lead, routes uint64, status wsk.NTSTATUS) {
	if s.Host.Standings == nil {
		return nil, nil, lead, 0, wsk.STATUS_SUCCESS
	}
	f, p, lead, routes = s.leads(to, false)
	if p == nil {
		return nil, nil, lead, 0, wsk.STATUS_SUCCESS
	}
	if !s.flows.shared.isSettled(s, routes) {
		return nil, nil, route.Lead{}, 0, wsk.STATUS_SUCCESS
	}
	if s.Guard != nil {
		if err := admit(s.Guard, to, p.hop, p.hop.Source, p.mtu, false); err != nil {
			s.Host.Stats.ResolveFailed.Add(1)
			return nil, nil, lead, 0, resolveStatus(err, to, s.dead.Load())
		}
	}
	if !f.used.Load() {
		f.used.Store(true)
	}
	return f, p, lead, routes, wsk.STATUS_SUCCESS
}

// leads is led for somebody who sends nothing, and so asks no guard. quick finds only what is found without a lock and without asking
// anybody.
func (s *Source) leads(to *wsk.Destination, quick bool) (f *Flow, p *Path, lead route.Lead, routes uint64) {
	lead, routes = s.lead(to, quick)
	if !lead.IsValid() || !s.flows.shared.any.Load() {
		return nil, nil, lead, 0
	}
	if f = s.flows.shared.find(to, &lead, quick); f == nil {
		return nil, nil, lead, 0
	}
	if p = f.path.Load(); !s.Host.standsAside(p) {
		return nil, nil, lead, 0
	}
	return f, p, lead, routes
}

// onward is the flow, and the path, by which an operation that has waited in a queue goes on there; no path when it has none any more.
// Where it may have left by a shared flow, and routes have changed since, that is the one to which they lead now.
func onward(op *wsk.SendOp, q *Queue) (*Flow, *Path) {
	f := op.Transport.Via.(*Flow)
	pr := progressOf(op)
	if f.shared && !pr.begun() {
		if now, p, _, routes := f.src.leads(&op.To, true); p != nil && p.queue == q && uint32(routes) != pr.routes {
			op.Transport.Via, pr.routes = now, uint32(routes)
			return now, p
		}
	}
	return f, f.path.Load().through(q)
}
