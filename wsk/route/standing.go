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
	seen   atomic.Uint64 // of Table.mirrorGen, with which it is known to stand
	aside  atomic.Uint64 // with which it is known to stand but for the route of its destination; see Table.StandsAside
}

// ResolveStanding is Resolve for those who keep what follows from the answer: Stands tells for how long they may. The
// answer comes from a mirror of the kernel's routing, without a system call, where there is one that knows (see
// Options.Mirror and Asked); such an answer goes on to stand when routes change that don't lead there. A change counts
// as soon as it has been announced to the mirror. on is overwritten.
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

// bears reports whether all that an answer of the mirror rests on but the route of its destination is as it was.
func (t *Table) bears(on *Standing) bool { return on.causes == t.causes.Load() }

// bump says that any answer may be wrong now.
func (t *Table) bump() {
	t.causes.Add(1)
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
