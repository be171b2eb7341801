// SPDX-License-Identifier: Apache-2.0

package send

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// Source is the sending half of an endpoint: its destinations, and what they have in common.
type Source struct {
	Host   *Host
	Serial uint32        // spreads sources over queues
	Guard  wsk.FlowGuard // is asked about destinations; nil: everything is allowed

	// Set when the endpoint is bound, which happens before the first send.
	Local netip.AddrPort
	Slow  SlowPath
	// Redirected reports whether datagrams of a family that arrive on an interface come to the endpoint past the kernel's
	// stack. nil stands for never. Started is closed when that has begun; until then the answer is no.
	Redirected func(ifindex int, is4 bool) bool
	Started    <-chan struct{}
	// Asks is what the routes of this source depend on besides addresses: the device that it is bound to, its mark and its owner.
	Asks route.Query

	aborted atomic.Bool
	dead    atomic.Bool
	flows   flowTable
}

func (s *Source) hasStarted() bool {
	select {
	case <-s.Started:
		return true
	default:
		return false
	}
}

// Send takes ownership of an operation until it completes. See [wsk.Endpoint].
func (s *Source) Send(op *wsk.SendOp) {
	f := s.flows.last.Load()
	var p *Path
	if f == nil || !isSame(&f.to, &op.To) {
		var status wsk.NTSTATUS
		if f, p, status = s.flows.way(s, op); status != wsk.STATUS_SUCCESS {
			if status != wsk.STATUS_PENDING {
				s.Host.Finish(op, status)
			}
			return
		}
	}
	if p == nil {
		p = f.path.Load()
		if p == nil || f.waiters.Load() != 0 || p.queue == nil || !f.used.Load() || !s.Host.stands(p) {
			f.send(op)
			return
		}
	}
	if !p.queue.send(op, f, p) { // hardly ever: the flow has just left that queue
		f.enqueue(op)
	}
}

// isStackSending reports whether the kernel's stack has something to send that it was given before.
func (s *Source) isStackSending() bool { return s.Slow != nil && s.Slow.IsSending() }

// asking is a query that is prepared for all destinations that do not differ in what it depends on.
type asking struct {
	tos     uint8
	ifIndex uint32
	mark    uint32
	source  [16]byte
	leads   route.Leads
}

// lead is where the routes lead a destination. quick knows only what is prepared.
func (s *Source) lead(to *wsk.Destination, quick bool) (lead route.Lead, routes uint64) {
	slot := &s.flows.shared.asking[(uint32(to.TOS)>>2^to.IfIndex)%askingCacheSize]
	if to.Is4() {
		slot = &s.flows.shared.asking4[(uint32(to.TOS)>>2^to.IfIndex)%askingCacheSize]
	}
	for {
		a := slot.Load()
		if a != nil && a.tos == to.TOS && a.ifIndex == to.IfIndex && a.mark == to.Mark && a.source == to.Source {
			if lead, routes, current := a.leads(&to.Addr, to.Port); current {
				return lead, routes
			}
		}
		q, err := s.query(to)
		if err != nil || quick {
			return route.Lead{}, 0
		}
		slot.Store(&asking{tos: to.TOS, ifIndex: to.IfIndex, mark: to.Mark, source: to.Source, leads: s.Host.Standings.Leads(q)})
	}
}

// flowLabel is the flow label of datagrams to a destination, 0 for IPv4.
func (s *Source) flowLabel(to *wsk.Destination, source netip.Addr) uint32 {
	if to.Is4() {
		return 0
	}
	if labels := s.Host.Routes.FlowLabels(netip.AddrPortFrom(source, s.Local.Port())); labels != nil {
		return labels(&to.Addr, to.Port)
	}
	return 0
}

// Mtu answers from what is known; an unknown path is looked up for the next question.
func (s *Source) Mtu(to *wsk.Destination) (int, wsk.NTSTATUS) {
	f := s.flows.find(to, hashOf(to))
	if f == nil {
		if _, p, _, _, status := s.led(to); p != nil {
			return p.mtu, status
		}
		f = s.flows.insert(s, to)
	}
	if p := f.path.Load(); p != nil && s.Host.stands(p) {
		return p.mtu, wsk.STATUS_SUCCESS
	}
	f.prefetch()
	return 0, wsk.STATUS_NETWORK_UNREACHABLE
}

// Abort cancels what waits for a way, and refuses what comes. What waits in a queue is cancelled by [Queue.Abort], later.
func (s *Source) Abort() {
	s.aborted.Store(true)
	s.flows.each((*Flow).abort)
}

// Kill ends what waits for a way after the device with the bound address was deleted. It reports false when it has done
// so before.
func (s *Source) Kill() bool { return s.dead.CompareAndSwap(false, true) }

// FailFlows is the second part of kill, after the socket above knows.
func (s *Source) FailFlows() {
	s.flows.each(func(f *Flow) { f.fail(wsk.STATUS_FILE_FORCED_CLOSED) })
}

// Tend keeps the neighbours of used flows alive and refreshes old paths.
func (s *Source) Tend(now time.Time) {
	s.flows.each(func(f *Flow) { f.tend(now) })
	s.flows.shared.tend(now)
}

// Hasten looks anew for the way of flows that go through the kernel's stack, or through a queue that is gone.
func (s *Source) Hasten() {
	s.flows.each(func(f *Flow) {
		p := f.path.Load()
		if p == nil || p.queue == nil || p.queue.poll.ended.Load() || !s.Host.stands(p) {
			f.withdraw() // a look that has begun may have found what is not so any more
		}
		if p != nil && (p.queue == nil || p.queue.poll.ended.Load()) {
			f.prefetch()
		}
	})
	s.flows.shared.each(func(f *Flow) {
		if p := f.path.Load(); p != nil && p.queue.poll.ended.Load() {
			f.withdraw()
		}
	})
}

// Recheck has the guard asked again about every destination. What has been handed over goes on as it was; what comes after
// the call goes by the new verdict.
func (s *Source) Recheck() {
	if s.Guard != nil {
		s.flows.each((*Flow).withdraw)
	}
}

// PathNarrowed makes every flow to an address learn its path MTU anew. Strangers can have it called as often as they like.
func (s *Source) PathNarrowed(a netip.Addr) {
	s.Host.Routes.Flush(a)
	t, addr := &s.flows, a.As16()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.all {
		if f.to.Addr == addr {
			f.withdraw()
		}
	}
}

// PathLifetime is the age at which a path is looked up again although nothing was announced: path MTU exceptions
// and multipath weights change silently.
const PathLifetime = 30 * time.Second

// tend keeps the neighbour of a used flow alive, since frames sent past the stack do not, and refreshes an old path.
func (f *Flow) tend(now time.Time) {
	if !f.used.Load() {
		return
	}
	f.used.Store(false)
	p := f.path.Load()
	if p == nil {
		return
	}
	if p.neighbourIf != 0 {
		f.src.Host.Routes.KeepAlive(p.neighbourIf, p.neighbour)
	}
	f.tendGroup(p)
	if f.wantsOpening(p, now) {
		f.prefetch()
	}
	if now.Sub(p.resolved) > PathLifetime {
		f.prefetch()
	}
}

// tendGroup looks for the way anew when the host has got its first member of the group, or lost its last.
func (f *Flow) tendGroup(p *Path) {
	a := f.to.IP()
	if !a.IsMulticast() || p.groupIf == 0 || f.src.Host.HasMembers == nil {
		return
	}
	if f.src.Host.HasMembers(p.groupIf, a.WithZone("")) != p.looped {
		f.prefetch()
	}
}

// GroupChanged makes every flow to a group look for its way anew before it sends again.
func (s *Source) GroupChanged(group netip.Addr) {
	s.flows.each(func(f *Flow) {
		if f.to.IP().WithZone("") == group {
			f.withdraw()
		}
	})
}

// isLooped reports whether the kernel would hand what is sent that way to sockets of this host too: a broadcast to
// all that listen, a group's datagram to those that have joined it on the interface. A frame of AF_XDP goes to the wire
// only, and a copy of it for the host would have to leave again to be looped; so the kernel gets the datagram, and sends
// and loops it with one TTL, in one order and past the same filters as any other program's.
func (f *Flow) isLooped(hop route.Hop) bool {
	switch hop.Kind {
	case route.Broadcast:
		return true
	case route.Multicast:
		return f.src.Host.HasMembers != nil && f.src.Host.HasMembers(hop.Interface, f.to.IP().WithZone(""))
	}
	return false
}

// leadsAllThere is leadsThere for all that wait in the flow.
func (l *look) leadsAllThere() bool {
	f := l.flow
	t := &f.src.flows
	t.mu.Lock()
	all := f.gathered // what is in it does not change
	t.mu.Unlock()
	for i := range all {
		if f.isElsewhere(&all[i]) {
			return false
		}
	}
	return l.leadsThere()
}

// passOther sends an operation for another destination that has waited here as if it came now, but that what is still here of that
// goes behind it.
func (f *Flow) passOther(op *wsk.SendOp) {
	t := &f.src.flows
	own := t.own(&op.To)
	if own == nil {
		s, p, _, status := f.src.shares(op)
		if status != wsk.STATUS_SUCCESS {
			f.src.Host.Finish(op, status)
			return
		}
		if p != nil && p.queue.send(op, s, p) {
			return
		}
		own = t.insert(f.src, &op.To)
	}
	own.send(op)
}

// failAll ends what waits. What has arrived meanwhile, perhaps from a client that tries again and again, has its way looked for anew
// when others have had their turn.
func (f *Flow) failAll(status wsk.NTSTATUS) {
	f.fail(status)
	f.mu.Lock()
	if f.waiting.Head == nil {
		f.arrived()
		return
	}
	f.mu.Unlock()
	f.part(false)
	f.goOn()
}

// endGathering has all that waits here for other destinations look for ways of their own, and takes in no more.
func (f *Flow) endGathering() {
	f.src.flows.release(f)
	for gathers := true; gathers; {
		f.scatter(true)
		f.mu.Lock()
		others := false
		for op := f.waiting.Head; op != nil && !others; op = op.Transport.Next {
			others = !isSame(&op.To, &f.to)
		}
		f.gathers = f.gathers && others
		gathers = f.gathers
		f.mu.Unlock()
	}
	f.src.flows.disperse(f)
}
