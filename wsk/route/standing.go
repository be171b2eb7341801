// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"context"
	"net/netip"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/mirror"
)

// Standing is what an answer of ResolveStanding rests on. It must not be copied.
type Standing struct {
	generation uint64 // when the kernel was asked: the answer stands for this one

	// When the mirror had the answer.
	hop    *mirror.Hop // nil: it had not
	source netip.Addr
	query  mirror.Query
	strict bool
	causes uint64
	ground ground
	seen   atomic.Uint64 // of Table.mirrorGen, with which it is known to stand
	aside  atomic.Uint64 // with which it is known to stand but for the route of its destination; see Table.StandsAside
}

// ground is what follows from an answer of the mirror besides the answer: from the devices of query and hop, all that
// describe, Transmit and Selected read of them; from the neighbour, the MAC that is learned later.
type ground struct {
	wanted, leaves uint64 // stamps of the devices
	neighbour      *use   // nil: there is nothing to resolve
	changes        uint64 // of it
}

// ResolveStanding is Resolve for those who keep what follows from the answer: Stands tells for how long they may. The
// answer comes from a mirror of the kernel's routing, without a system call, where there is one that knows (see
// Options.Mirror and Asked). Such an answer goes on to stand when routes, addresses, devices and neighbours change that
// it has nothing to do with; it ends with another route, another source, another device or a change of it other than
// its state, and with another MAC of the neighbour, or the end of its use. A change counts as soon as it has been
// announced. on is overwritten.
func (t *Table) ResolveStanding(ctx context.Context, in Query, on *Standing) (Hop, error) {
	return t.resolve(ctx, in, on)
}

// Stands reports whether an answer still stands, as far as anything has been announced. While nothing has changed it is
// an atomic load; after a change, once, a look-up in memory.
func (t *Table) Stands(on *Standing) bool {
	if on.hop == nil {
		return on.generation == t.gen.Load()
	}
	now := t.mirrorGen.Load()
	return on.seen.Load() == now || t.stillStands(on, now)
}

func (t *Table) stillStands(on *Standing, now uint64) bool {
	if !t.bears(on) {
		return false
	}
	r, ask := t.consult(&on.query, on.strict)
	if ask != mirror.Answered || r.Hop != on.hop || r.Source != on.source {
		return false
	}
	on.seen.Store(now)
	return true
}

// Generation grows whenever a path may lead elsewhere than before: devices, addresses, routes, rules, next hops, IPsec
// policies, the MAC or the failure of a neighbour in use, a path MTU found changed. One atomic load. Read it before
// Resolve and Neighbour, never after.
func (t *Table) Generation() uint64 { return t.gen.Load() }

// ground is what an answer rests on that is being given. It comes before the MAC of the neighbour is read: see uses.note.
func (t *Table) ground(s *snapshot, m *mirror.Query, hop *mirror.Hop) ground {
	g := ground{wanted: s.stamps.of[m.Interface], leaves: s.stamps.of[hop.Interface]}
	if k := neighbourOf(m, hop); !s.isFixed(k) {
		g.neighbour, _ = t.uses.note(k, t.now())
		g.changes = g.neighbour.changes.Load()
	}
	return g
}

// bears reports whether all that an answer of the mirror rests on but the route of its destination is as it was.
func (t *Table) bears(on *Standing) bool {
	s, g := t.snap.Load(), &on.ground
	q := question{dst: on.query.Dst, src: on.query.Src, oif: on.query.Interface}
	if on.causes != t.causes.Load() || !s.plausible(q) {
		return false
	}
	if s.stamps.of[on.query.Interface] != g.wanted || s.stamps.of[on.hop.Interface] != g.leaves {
		return false
	}
	if s.isFixed(neighbourOf(&on.query, on.hop)) {
		return g.neighbour == nil
	}
	return g.neighbour != nil && g.neighbour.changes.Load() == g.changes
}

// neighbourOf is whom a datagram goes to first.
func neighbourOf(m *mirror.Query, hop *mirror.Hop) neighbourKey {
	if hop.Gateway.IsValid() {
		return neighbourKey{hop.Interface, hop.Gateway}
	}
	return neighbourKey{hop.Interface, m.Dst}
}

// bump says that any answer may be wrong now.
func (t *Table) bump() {
	t.causes.Add(1)
	t.someChanged()
}

// someChanged says that some answers may be wrong now. Those of the mirror tell by their ground.
func (t *Table) someChanged() {
	t.mirrorGen.Add(1)
	t.gen.Add(1)
}

// mirrorChanged is called when the mirror may answer something else. Who goes by the generation hears of routes by
// their events, but for those that went without.
func (t *Table) mirrorChanged(silent bool) {
	t.mirrorGen.Add(1)
	if silent {
		t.gen.Add(1)
	}
	select {
	case t.rerouted <- struct{}{}:
	default:
	}
}
