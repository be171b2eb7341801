// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import "net/netip"

// snapshot is the model as it is now. It shares with the one before what has not changed.
func (m *model) snapshot() *Snapshot {
	m.sweep()
	m.hops.settle(m.hop)
	s := &Snapshot{own: m.addresses.own}
	for _, d := range m.devices {
		if d.vrf {
			s.ask = VRF
		}
	}
	s.v4.rules, s.v6.rules = m.compiled(false), m.compiled(true)
	for f, wanted := range m.wish.routes {
		if wanted {
			*[]*Reason{&s.v4.ask, &s.v6.ask}[f] = Doubtful
		}
	}
	for _, tables := range m.tables {
		for _, t := range tables {
			t.own = false
		}
	}
	s.hops = m.hops.snapshot()
	return s
}

// tells reports whether a snapshot that was just made answers something that the one before doesn't, and forgets it.
func (m *model) tells(now, before *Snapshot) bool {
	changed := m.changed || m.hops.changed ||
		now.ask != before.ask || now.v4.ask != before.v4.ask || now.v6.ask != before.v6.ask
	m.changed, m.hops.changed = false, false
	return changed
}

// size is the number of prefixes.
func (m *model) size() (n int) {
	for _, tables := range m.tables {
		for _, t := range tables {
			n += t.trie.Size()
		}
	}
	return n
}

// Routes that are gone stay in their prefixes until they are many.
const (
	garbageLeast = 4096
	garbagePart  = 4
)

// sweep takes out prefixes whose routes are gone.
func (m *model) sweep() {
	if m.hops.garbage < garbageLeast || m.hops.garbage*garbagePart < m.size() {
		return
	}
	bulk := m.bulk
	m.bulk = true
	for _, tables := range m.tables {
		for _, t := range tables {
			m.sweepTable(t)
		}
	}
	m.bulk = bulk
}

func (m *model) sweepTable(t *table) {
	type found struct {
		prefix netip.Prefix
		f      *leaf
	}
	var all []found
	for p, f := range t.trie.All() {
		for _, r := range f.routes {
			if m.hops.gone(r.hop) {
				all = append(all, found{p, f})
				break
			}
		}
	}
	for _, x := range all {
		m.list = m.present(x.f)
		m.set(t, x.prefix, x.f, m.list)
	}
}

// replaceRoutes empties the tables of a family, for a dump to fill them.
func (m *model) replaceRoutes(f int) (old map[uint32]*table) {
	old = m.tables[f]
	m.tables[f] = map[uint32]*table{}
	m.wish.routes[f] = false
	if f == v6 {
		m.soonest = 0
	}
	return old
}

// forget takes away tables that a dump has replaced.
func (m *model) forget(old map[uint32]*table) {
	for _, t := range old {
		for _, f := range t.trie.All() {
			m.release(f)
		}
	}
}
