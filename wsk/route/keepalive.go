// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// uses remembers which neighbours are in use, and since when they are not.
type uses struct {
	mu sync.RWMutex
	by map[neighbourKey]*use
}

// use is that of one neighbour, until it is over; who comes back later has another.
type use struct {
	last    atomic.Int64  // time since Table.start in nanoseconds
	changes atomic.Uint64 // grows with another MAC, with a failure, and when the use is over
}

// note marks a neighbour as used now.
//
// It must come before the reading of the MAC that is going to be used. The table publishes a new MAC first and looks
// for users second; whoever notes first and reads second either reads the new MAC or is found and told, by changes and
// by the generation.
//
// It reports whether the neighbour was in use already.
func (u *uses) note(k neighbourKey, now time.Duration) (of *use, known bool) {
	u.mu.RLock()
	of = u.by[k]
	if of != nil {
		of.last.Store(int64(now))
	}
	u.mu.RUnlock()
	if of != nil {
		return of, true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.by == nil {
		u.by = map[neighbourKey]*use{}
	}
	if of, known = u.by[k]; !known {
		of = new(use)
		u.by[k] = of
	}
	of.last.Store(int64(now))
	return of, known
}

// of is the use of a neighbour, nil when it has none.
func (u *uses) of(k neighbourKey) *use {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.by[k]
}

// expire ends the uses of neighbours whose last was before limit, and reports whether there were any.
func (u *uses) expire(limit time.Duration) (some bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, of := range u.by {
		if of.last.Load() < int64(limit) {
			delete(u.by, k)
			of.changes.Add(1)
			some = true
		}
	}
	return some
}

// now is the monotonic time since the table was opened.
func (t *Table) now() time.Duration { return time.Since(t.start) }

// KeepAlive notes that a neighbour is in use. The kernel doesn't see traffic over AF_XDP and would let the entry grow
// stale, so that a neighbour that moved or died went unnoticed: an entry noted within the last Options.KeepAliveFor is
// verified whenever it goes STALE, and asked for again when it is deleted. The generation grows when it answers with
// another MAC or not at all. It grows too when the neighbour was not in use any more: it may have moved meanwhile,
// which nobody was told.
//
// It is cheap (a map look-up and a store) and meant to be called at most about once a second per flow.
func (t *Table) KeepAlive(ifindex int, ip netip.Addr) {
	if _, known := t.uses.note(neighbourKey{ifindex, ip.Unmap().WithZone("")}, t.now()); !known {
		t.someChanged()
	}
}

// keepAlive is the periodic look at the neighbours in use, for what the events left over: a probe that failed to be
// sent, for an entry that has gone STALE or was deleted while its MAC is in use. It also ends the memory of what is
// used no more.
func (t *Table) keepAlive(m *model) {
	if t.uses.expire(t.now() - t.opts.KeepAliveFor) {
		t.mirrorGen.Add(1) // whose answers rest on such a use look anew before they send again
	}
	for k, e := range m.neighbours {
		switch used := t.uses.of(k) != nil; {
		case used && (e.state == unix.NUD_STALE || e.state == 0 && e.hasMAC):
			t.probe(m, k)
		case !used && e.state == 0:
			delete(m.neighbours, k)
		}
	}
}

// probe makes the kernel verify a neighbour in use.
func (t *Table) probe(m *model, k neighbourKey) {
	if m.devices[k.index] == nil || m.neighbours[k].state&unix.NUD_PERMANENT != 0 {
		return
	}
	if _, err := t.prober.solicit(t.dumper, k); err != nil {
		t.log.Debug("verify neighbour", "neighbour", k.ip, "interface", k.index, "err", err)
	}
}
