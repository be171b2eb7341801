// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/mirror"
)

// Lead is the gateway to which the mirror of the kernel's routing leads a destination, with device, MTU and source. It is
// comparable: queries that differ in their destinations and ports alone, and that are led by equal Leads, have the same Hop. The
// zero Lead is none.
type Lead struct {
	hop    *mirror.Hop
	source netip.Addr
}

// IsValid reports whether it is one.
func (l Lead) IsValid() bool { return l.hop != nil }

// Lead looks up where a query leads, in memory: it asks nobody and allocates nothing. The zero Lead says that ResolveStanding
// must be asked, because the mirror does not know or because there is no gateway. at is the number of the snapshot that was looked
// into: with the same number the mirror leads a query the same way.
func (t *Table) Lead(in *Query) (l Lead, at uint64) {
	if t.mirror == nil {
		return Lead{}, 0
	}
	s := t.snap.Load()
	q, err := t.question(s, *in)
	if err != nil || !s.plausible(q) {
		return Lead{}, 0
	}
	m := mirror.Query{
		Dst: q.dst, Src: q.src, Interface: q.oif, TOS: q.tos, Mark: q.mark, SrcPort: in.SrcPort, DstPort: in.DstPort,
	}
	view := t.mirror.Snapshot()
	r, ask := lookup(view, &m, q.strict)
	if ask != mirror.Answered || !r.Hop.Gateway.IsValid() {
		return Lead{}, view.Serial()
	}
	return Lead{r.Hop, r.Source}, view.Serial()
}

// Lead is that of the answer; the zero Lead when the kernel gave it, or when it names no gateway.
func (on *Standing) Lead() Lead {
	if on.hop == nil || !on.hop.Gateway.IsValid() {
		return Lead{}
	}
	return Lead{on.hop, on.source}
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
