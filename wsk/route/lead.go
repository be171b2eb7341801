// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/mirror"
)

// Lead is the gateway to which the mirror of the kernel's routing leads a destination, with device, MTU and source. It is
// comparable: queries that differ in their destinations and ports alone, and that are led by equal Leads, have the same Hop. The
// zero Lead is none.
type Lead struct {
	Hop    uint64 // number of the next hop as it is now: what changes gets another
	Source netip.Addr
}

// IsValid reports whether it is one.
func (l Lead) IsValid() bool { return l.Hop != 0 }

// Leads looks up where one destination and port of many lead, in memory: it asks nobody and allocates nothing. The zero Lead says
// that ResolveStanding must be asked, because the mirror does not know, or there is no gateway, or there are IPsec policies, which may
// select single destinations. at is the number of the snapshot that was looked into: with the same number the mirror leads a
// query the same way. current is false when the table has changed so that Leads must be asked for again.
//
// An IPv4 destination is v4-mapped. It is not kept.
type Leads func(dst *[16]byte, port uint16) (l Lead, at uint64, current bool)

// Leads prepares a query for many destinations of the family of its own, which may itself be one that is refused.
func (t *Table) Leads(in Query) Leads {
	s := t.snap.Load()
	in.Dst = likeOthers(in.Dst)
	q, err := t.question(s, in)
	known := err == nil && t.mirror != nil && s.plausible(q)
	m := mirror.Query{Src: q.src, Interface: q.oif, TOS: q.tos, Mark: q.mark, SrcPort: in.SrcPort}
	look := prepared(m, q.dst.Is6())
	if q.strict { // which may take two looks
		look = func(view *mirror.Snapshot, dst *[16]byte, port uint16) (mirror.Result, mirror.Reason) {
			there := m
			there.Dst, there.DstPort = netip.AddrFrom16(*dst).Unmap(), port
			return lookup(view, &there, true)
		}
	}
	return func(dst *[16]byte, port uint16) (Lead, uint64, bool) {
		if t.snap.Load() != s {
			return Lead{}, 0, false
		}
		if !known || t.Policies() != nil {
			return Lead{}, 0, true
		}
		view := t.mirror.Snapshot()
		r, ask := look(view, dst, port)
		if ask != mirror.Answered || !r.Hop.Gateway.IsValid() {
			return Lead{}, view.Serial(), true
		}
		return Lead{r.Hop.Number, r.Source}, view.Serial(), true
	}
}

// likeOthers is an address of the same family and zone that nothing is refused for.
func likeOthers(dst netip.Addr) netip.Addr {
	if dst.Unmap().Is4() {
		return netip.AddrFrom4([4]byte{192, 0, 2, 1})
	}
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}).WithZone(dst.Zone())
}

// prepared looks up queries that differ from m in destination and port alone, with a plan for the last snapshot that it was asked of.
func prepared(m mirror.Query, six bool) func(view *mirror.Snapshot, dst *[16]byte, port uint16) (mirror.Result, mirror.Reason) {
	var last atomic.Pointer[mirror.Plan]
	return func(view *mirror.Snapshot, dst *[16]byte, port uint16) (mirror.Result, mirror.Reason) {
		plan := last.Load()
		if plan == nil || plan.At() != view {
			plan = view.Prepare(m, six)
			last.Store(plan)
		}
		return plan.Lookup(dst, port)
	}
}

// LeadOf is that of an answer; the zero Lead when the kernel gave it, or when it names no gateway.
func (t *Table) LeadOf(on *Standing) Lead {
	if on.hop == nil || !on.hop.Gateway.IsValid() {
		return Lead{}
	}
	return Lead{on.hop.Number, on.source}
}

// StandsAside is Stands for other queries that are led by the Lead of the answer, and differ in their destinations and ports alone:
// whatever becomes of its own, what follows from the answer besides holds for them. It is an atomic load while
// nothing has changed.
func (t *Table) StandsAside(on *Standing) bool {
	if on.hop == nil {
		return false
	}
	now := t.mirrorGen.Load()
	if on.aside.Load() == now {
		return true
	}
	if !t.bears(on) {
		return false
	}
	on.aside.Store(now)
	return true
}
