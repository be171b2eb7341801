// SPDX-License-Identifier: Apache-2.0

package send

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// slot is where the flow of what is common may be found without a lock.
func (t *sharedFlows) slot(hop uint64, ttl, tos uint8, fragment wsk.FragmentPolicy) *atomic.Pointer[Flow] {
	h := (uint32(hop) ^ uint32(ttl)<<8 ^ uint32(tos)<<16 ^ uint32(fragment)<<24) * 0x9e3779b1 >> 16
	return &t.cache[h%sharedCacheSize]
}

// sharedCacheSize is the number of shared flows a socket finds without a lock: a power of two, one pointer each.
const sharedCacheSize = 16

// askingCacheSize is the number of prepared queries of a family: a power of two.
const askingCacheSize = 4

// sharedFlows are the flows of a source that many destinations share, each behind one gateway.
//
// What leaves by one is in order with all that leaves through the same queue, before and after. When a route changes, a destination may
// come to lead through another queue, and what rests in the first must not be overtaken: so, where a source leads through several, no
// destination is looked up with new routes before what rests in queues has been (isSettled). Whoever must not or cannot
// wait for that takes a flow of his own, which takes along what there is (Flow.follow).
type sharedFlows struct {
	any   atomic.Bool // there is one
	cache [sharedCacheSize]atomic.Pointer[Flow]
	// queues are those that flows of the source lead or led through, of its own and shared ones.
	queues atomic.Pointer[[]*Queue]
	// asking are prepared queries, asking4 those for IPv4.
	asking, asking4 [askingCacheSize]atomic.Pointer[asking]

	settled atomic.Uint64 // the number of the routes for which nothing rests that leads elsewhere; 0: none

	mu       lockrank.Mutex[locks.SharedMu]
	all      map[common]*Flow
	changes  uint64 // of queues and of the paths' queues
	settling bool   // a worker is at it
	target   uint64 // the number of the routes that it is to come to
	job      job
}

// find returns the shared flow of a destination that is led so, nil when there is none. quick looks no further than it can
// without a lock.
func (t *sharedFlows) find(to *wsk.Destination, lead *route.Lead, quick bool) *Flow {
	slot := t.slot(lead.Hop, to.TTL, to.TOS, to.Fragment)
	f := slot.Load()
	if f != nil && f.common.is(to, lead) {
		return f
	}
	if quick {
		return nil
	}
	c := commonOf(to, *lead)
	t.mu.Lock()
	defer t.mu.Unlock()
	if f = t.all[c]; f != nil {
		slot.Store(f)
	}
	return f
}

func (t *sharedFlows) each(do func(*Flow)) {
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

// leadThrough notes that a flow of the source is going to lead through q, where that is not nil, and lists all queues that
// there are.
func (t *sharedFlows) leadThrough(q *Queue) []*Queue {
	if list := t.queues.Load(); list != nil && (q == nil || len(*list) == 1 && (*list)[0] == q) {
		return *list
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.leadThroughLocked(q)
}

func (t *sharedFlows) leadThroughLocked(q *Queue) (list []*Queue) {
	known := q == nil
	if now := t.queues.Load(); now != nil {
		for _, old := range *now {
			if known = known || old == q; !old.poll.ended.Load() {
				list = append(list, old)
			}
		}
	}
	if !known {
		list = append(list, q)
		t.changes++
		t.settled.Store(0)
	}
	t.queues.Store(&list)
	return list
}

// publish has others share the path that a look has found for f, where they can, and reports whether they do.
func (f *Flow) publish(l *look) bool {
	host, p, t := f.src.Host, l.path, &f.src.flows.shared
	if p.queue == nil || p.standing == nil || host.Standings == nil || p.neighbourIf == 0 {
		return false
	}
	if f.src.isStackSending() { // to a destination, perhaps, that has no flow any more, and would overtake that
		return false
	}
	if !p.until.IsZero() || p.local.IsValid() && f.isTracked(p) { // each has a connection of its own
		return false
	}
	lead := host.Standings.LeadOf(p.standing)
	if !lead.IsValid() {
		return false
	}
	c := commonOf(&f.to, lead)
	t.mu.Lock()
	s := t.all[c]
	var old *Path
	if s != nil {
		if old = s.path.Load(); old.queue == p.queue && host.standsAside(old) {
			t.mu.Unlock()
			return true
		}
	}
	open, hop := *p, l.hop
	hop.Source = l.source
	open.Template, open.open, open.hop, open.drains = p.Template.Open(), true, &hop, old.behind(p.queue)
	if !f.to.Is4() {
		open.labels = host.Routes.FlowLabels(netip.AddrPortFrom(l.source, f.src.Local.Port()))
	}
	t.leadThroughLocked(p.queue)
	if old != nil && old.queue != p.queue {
		t.changes++
		t.settled.Store(0)
		old.queue.mu.Lock() // who is about to put something in there finds that the flow has left
		s.path.Store(&open)
		old.queue.mu.Unlock()
	} else {
		if s == nil {
			s = t.addLocked(&Flow{to: f.to, src: f.src, shared: true, common: c})
		}
		s.path.Store(&open)
	}
	t.any.Store(true)
	t.mu.Unlock()
	s.catchUp(&open)
	return true
}

// labelOf is the flow label of an operation that leaves by the path of a shared flow.
func (p *Path) labelOf(op *wsk.SendOp) uint32 {
	if p.labels == nil {
		return 0
	}
	return p.labels(&op.To.Addr, op.To.Port)
}

func (t *sharedFlows) addLocked(f *Flow) *Flow {
	if t.all == nil {
		t.all = make(map[common]*Flow)
	}
	if len(t.all) >= maxShared {
		for _, one := range t.all { // any one
			t.forgetLocked(one)
			break
		}
	}
	t.all[f.common] = f
	return f
}

// forgetLocked forgets a shared flow. A sender that has just found it may use it once more.
func (t *sharedFlows) forgetLocked(f *Flow) {
	delete(t.all, f.common)
	c := &f.common
	t.slot(c.lead.Hop, c.ttl, c.tos, c.fragment).CompareAndSwap(f, nil)
}

// tend keeps the neighbours of shared flows alive, forgets flows that are not used any more, and closes those whose datagrams the
// kernel is to see from now on.
func (t *sharedFlows) tend(now time.Time) {
	t.each(func(f *Flow) {
		p := f.path.Load()
		switch {
		case p == nil: // it is being made
		case p.local.IsValid() && f.isTracked(p):
			f.withdraw()
		case f.used.Swap(false):
			f.src.Host.Routes.KeepAlive(p.neighbourIf, p.neighbour)
			f.lastUse = now
		case now.Sub(f.lastUse) > PathLifetime && now.Sub(p.resolved) > PathLifetime:
			t.mu.Lock()
			t.forgetLocked(f)
			t.mu.Unlock()
		}
	})
}

// joins has an operation wait with those to the same destination that wait in another's flow, if any do.
func (t *flowTable) joins(op *wsk.SendOp) (status wsk.NTSTATUS, taken bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.away[op.To]; f != nil {
		return f.takeIn(op)
	}
	return 0, false
}

// open is insert for an operation that is about to wait. Where others wait for the way of the same lead, it waits with them.
func (t *flowTable) open(src *Source, op *wsk.SendOp, lead route.Lead) (*Flow, wsk.NTSTATUS) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all[op.To] != nil || !lead.IsValid() || src.Guard != nil {
		return t.insertLocked(src, &op.To), wsk.STATUS_SUCCESS
	}
	c := commonOf(&op.To, lead)
	if f := t.gatherers[c]; f != nil {
		if status, taken := t.gatherLocked(f, op); taken {
			return nil, status
		}
	}
	f := t.insertLocked(src, &op.To)
	f.gathers, f.common = true, c // nobody else has it yet
	if t.gatherers == nil {
		t.gatherers, t.away = make(map[common]*Flow), make(map[wsk.Destination]*Flow)
	}
	t.gatherers[c] = f
	return f, wsk.STATUS_SUCCESS
}

// gatherLocked has the first operation to a destination wait in f.
func (t *flowTable) gatherLocked(f *Flow, op *wsk.SendOp) (status wsk.NTSTATUS, taken bool) {
	if !f.src.Host.searches.enter() {
		return resolveStatus(errTooManySearches, &op.To, false), true
	}
	if status, taken = f.takeIn(op); status != wsk.STATUS_PENDING {
		f.src.Host.searches.leave()
		return status, taken
	}
	t.away[op.To] = f
	f.gathered = append(f.gathered, op.To)
	f.counted++
	t.count[hashOf(&op.To)%flowBuckets].Add(1)
	t.awayCount.Add(1)
	return status, true
}

// release is called before each of what a flow has gathered looks for a way of its own, and is counted for that. Nothing else comes to it.
func (t *flowTable) release(f *Flow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gatherers[f.common] == f {
		delete(t.gatherers, f.common)
	}
	for ; f.counted > 0; f.counted-- {
		f.src.Host.searches.leave()
	}
}

// disperse has a flow keep of what it has gathered what still waits there: nothing, when it does not gather any more. What has left is
// found elsewhere, and does not concern its search.
func (t *flowTable) disperse(f *Flow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.mu.Lock()
	if !f.gathers && t.gatherers[f.common] == f {
		delete(t.gatherers, f.common)
	}
	waits := make(map[wsk.Destination]bool) // nothing else comes to wait while t.mu is held
	for op := f.waiting.Head; op != nil && len(f.gathered) != 0; op = op.Transport.Next {
		waits[op.To] = true
	}
	f.mu.Unlock()
	all := f.gathered
	f.gathered = nil // not in the same memory: its search may be reading that
	for i := range all {
		to := &all[i]
		if waits[*to] {
			f.gathered = append(f.gathered, *to)
			continue
		}
		if t.away[*to] == f { // it may wait elsewhere by now
			delete(t.away, *to)
		}
		t.count[hashOf(to)%flowBuckets].Add(-1)
		t.awayCount.Add(-1)
		if f.counted > 0 {
			f.counted--
			f.src.Host.searches.leave()
		}
	}
}

// part is scatter after something that was not expected. It does nothing where the flow has not gathered any.
func (f *Flow) part(all bool) {
	switch {
	case !f.common.lead.IsValid():
	case all:
		f.endGathering()
	default:
		f.scatter(false)
		f.src.flows.disperse(f)
	}
}
