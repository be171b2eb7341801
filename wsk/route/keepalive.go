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
	mu   sync.RWMutex
	last map[neighbourKey]*atomic.Int64 // time since Table.start in nanoseconds
}

// note marks a neighbour as used now.
//
// It must come before the reading of the MAC that is going to be used. The table publishes a new MAC first and looks
// for users second; whoever notes first and reads second either reads the new MAC or is found and told by the
// generation.
//
// It reports whether the neighbour was in use already.
func (u *uses) note(k neighbourKey, now time.Duration) (known bool) {
	u.mu.RLock()
	last := u.last[k]
	if last != nil {
		last.Store(int64(now))
	}
	u.mu.RUnlock()
	if last != nil {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = map[neighbourKey]*atomic.Int64{}
	}
	if known = u.last[k] != nil; !known {
		u.last[k] = new(atomic.Int64)
	}
	u.last[k].Store(int64(now))
	return known
}

func (u *uses) has(k neighbourKey) bool {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.last[k] != nil
}

// expire forgets the neighbours whose last use was before limit.
func (u *uses) expire(limit time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, last := range u.last {
		if last.Load() < int64(limit) {
			delete(u.last, k)
		}
	}
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
	if !t.uses.note(neighbourKey{ifindex, ip.Unmap().WithZone("")}, t.now()) {
		t.bump()
	}
}

// keepAlive is the periodic look at the neighbours in use, for what the events left over: a probe that failed to be
// sent, for an entry that has gone STALE or was deleted while its MAC is in use. It also ends the memory of what is
// used no more.
func (t *Table) keepAlive(m *model) {
	t.uses.expire(t.now() - t.opts.KeepAliveFor)
	for k, e := range m.neighbours {
		switch used := t.uses.has(k); {
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
