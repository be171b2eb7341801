// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// model is the follower's own, mutable picture; snapshots are made from it. It does no I/O.
type model struct {
	devices   map[int]device
	addresses addresses
	objects   map[uint32]object
	failed    map[gatewayKey]struct{} // IPv6 neighbours that don't answer
	linkdown  [2]map[int]struct{}     // IPv4, IPv6: devices whose routes don't count without carrier
	rules     [2][]rule
	tables    [2]map[uint32]*table

	leaves leaves
	hops   hops

	msg  announced // of the message that is being applied
	list []route   // of its prefix
	wish wishes
	// soonest is when the first IPv6 route expires, in hundredths of a second from when it was said; 0: none does.
	soonest uint32
	// odd: some IPv4 route has a scope between those of a network and of the world. A gateway by such a one doesn't
	// count.
	odd bool
	// changed: the next snapshot answers something else, or may.
	changed bool
	// bulk: so much is to be changed that a copy of a trie is cheaper than as many paths of it.
	bulk bool
}

// wishes is what only a dump can tell.
type wishes struct {
	rules, objects, addresses bool
	routes                    [2]bool // IPv4, IPv6
}

func (w wishes) any() bool { return w != wishes{} }

// table is one routing table of one family.
type table struct {
	trie *trie
	own  bool // no snapshot has the trie yet, so it may be changed in place
}

const (
	v4 = 0
	v6 = 1
)

func family46(six bool) int {
	if six {
		return v6
	}
	return v4
}

func newModel() *model {
	return &model{
		devices: map[int]device{}, addresses: newAddresses(), objects: map[uint32]object{},
		failed: map[gatewayKey]struct{}{}, linkdown: [2]map[int]struct{}{{}, {}}, tables: [2]map[uint32]*table{{}, {}},
		leaves: newLeaves(), hops: newHops(),
	}
}

// apply takes one message. Malformed ones and those of other families are left alone.
func (m *model) apply(typ, flags uint16, b []byte) {
	switch typ {
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if parseRoute(b, &m.msg) && !m.msg.cloned {
			m.applyRoute(typ == unix.RTM_NEWROUTE, flags)
		}
	case unix.RTM_NEWLINK:
		if d, ok := parseLink(b); ok {
			m.setDevice(d)
		} else if len(b) >= unix.SizeofIfInfomsg && b[0] == unix.AF_INET6 {
			m.doubtMetrics(int(nativeIndex(b[4:])))
		}
	case unix.RTM_DELLINK:
		if d, ok := parseLink(b); ok {
			m.deleteDevice(d.index)
		}
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if a, ok := parseAddress(b); ok {
			m.applyAddress(a, typ == unix.RTM_NEWADDR)
		}
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		if k, state, ok := parseNeighbour(b); ok {
			m.setFailed(k, typ == unix.RTM_NEWNEIGH && state&unix.NUD_FAILED != 0)
		}
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		m.wish.rules = true // they have no names by which one could be followed
	case unix.RTM_NEWNEXTHOP:
		if id, o, ok := parseObject(b); ok {
			m.setObject(id, o)
		}
	case unix.RTM_DELNEXTHOP:
		if id, _, ok := parseObject(b); ok {
			m.deleteObject(id)
		}
	case unix.RTM_NEWNETCONF:
		if six, index, on, ok := parseNetconf(b); ok && on >= 0 {
			m.setLinkdown(six, index, on != 0)
		}
	case unix.RTM_DELNETCONF:
		if six, index, _, ok := parseNetconf(b); ok {
			m.setLinkdown(six, index, false)
		}
	}
}

// applyRoute follows the list of the routes of a prefix (net/ipv4/fib_trie.c, fib_table_insert and fib_table_delete;
// net/ipv6/ip6_fib.c, fib6_add_rt2node and fib6_del_route).
func (m *model) applyRoute(added bool, flags uint16) {
	a := &m.msg
	t := m.table(a.key.six, a.table)
	old, _ := t.trie.Get(a.prefix)
	list := m.present(old)
	switch {
	case a.key.six:
		list = m.apply6(old, list, added, flags)
	case added:
		m.odd = m.odd || a.key.scope != unix.RT_SCOPE_UNIVERSE && a.key.scope < unix.RT_SCOPE_LINK
		r := m.route(&a.key)
		list = insert4(list, r, flags)
	default:
		list = m.remove4(old, list)
	}
	m.set(t, a.prefix, old, list)
	m.list = list
}

func (m *model) route(k *key) route {
	return route{hop: m.hops.intern(k), metric: m.msg.metric, tos: m.msg.tos, typ: m.msg.typ, sourced: k.from.IsValid()}
}

// present is what the kernel still has of a leaf, in a list that is good until the next call.
func (m *model) present(f *leaf) []route {
	list := m.list[:0]
	if f == nil {
		return list
	}
	for _, r := range f.routes {
		if !m.hops.gone(r.hop) {
			list = append(list, r)
		}
	}
	return list
}

// insert4 puts a route where the kernel puts it: before those that it ties with, behind them, or in the place of the
// first. One that is known already comes from a dump that was ahead of its event, and goes to that place again: with the
// events that follow, the order becomes the kernel's.
func insert4(list []route, r route, flags uint16) []route {
	if flags&unix.NLM_F_REPLACE != 0 {
		if i := slices.IndexFunc(list, r.ties); i >= 0 {
			list[i] = r
			return dedupe(list, r, i)
		}
	}
	return insert(dedupe(list, r, -1), r, flags&unix.NLM_F_APPEND != 0)
}

// dedupe leaves one r, that at i; none with −1.
func dedupe(list []route, r route, i int) []route {
	kept := list[:0]
	for j, o := range list {
		if o != r || j == i {
			kept = append(kept, o)
		}
	}
	return kept
}

// remove4 takes out what was announced.
func (m *model) remove4(old *leaf, list []route) []route {
	a := &m.msg
	ties := false
	for i, o := range list {
		if o.tos != a.tos || o.metric != a.metric {
			continue
		}
		if o.typ == a.typ && m.hops.keys[o.hop] == a.key {
			return append(list[:i], list[i+1:]...)
		}
		ties = true
	}
	if ties && !m.wasGone(old, func(k *key) bool { return *k == a.key }) {
		m.wish.routes[v4] = true
	}
	return list
}

// wasGone reports whether a route that is announced to be gone has gone already, with its device.
func (m *model) wasGone(old *leaf, is func(*key) bool) bool {
	if old == nil {
		return false
	}
	return slices.ContainsFunc(old.routes, func(r route) bool {
		return r.metric == m.msg.metric && r.typ == m.msg.typ && m.hops.gone(r.hop) && is(&m.hops.keys[r.hop])
	})
}

// table finds or makes a table, whose trie may be changed with set alone.
func (m *model) table(six bool, id uint32) *table {
	tables := m.tables[family46(six)]
	t := tables[id]
	if t == nil {
		t = &table{trie: new(trie), own: true}
		tables[id] = t
	}
	return t
}

// set gives a prefix its routes.
func (m *model) set(t *table, prefix netip.Prefix, old *leaf, list []route) {
	f := m.leaves.of(list)
	if f == old {
		return
	}
	m.keep(f)
	m.changed = true
	if m.bulk && !t.own {
		t.trie, t.own = t.trie.Clone(), true
	}
	switch {
	case f != nil && t.own:
		t.trie.Insert(prefix, f)
	case f != nil:
		t.trie = t.trie.InsertPersist(prefix, f)
	case t.own:
		t.trie.Delete(prefix)
	default:
		t.trie = t.trie.DeletePersist(prefix)
	}
	m.release(old)
}

func (m *model) keep(f *leaf) {
	if f == nil {
		return
	}
	f.uses++
	for _, r := range f.routes {
		m.hops.use(r.hop, 1)
	}
}

func (m *model) release(f *leaf) {
	if f == nil {
		return
	}
	f.uses--
	for _, r := range f.routes {
		m.hops.use(r.hop, -1)
	}
	if f.uses == 0 {
		m.leaves.drop(f)
	}
}
