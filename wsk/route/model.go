// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// model is the table goroutine's own, mutable picture; snapshots are made from it. It does no I/O.
type model struct {
	devices    map[int]*Device // the values are never changed in place: snapshots share them
	addresses  map[addressKey]Address
	neighbours map[neighbourKey]entry
	rules      rules
	filters    map[int]ReversePath // by device; those that are off are left out
}

// entry is a neighbour. An entry that the kernel has deleted stays, with state 0, so that its return with another MAC
// is seen as the change that it is; keepAlive and the deletion of the device take it away.
type entry struct {
	state  uint16
	mac    [6]byte // the last usable one
	hasMAC bool
}

func (e entry) usable() bool { return e.state&nudUsable != 0 && e.hasMAC }

func newModel() *model {
	return &model{
		devices: map[int]*Device{}, addresses: map[addressKey]Address{}, neighbours: map[neighbourKey]entry{},
		filters: map[int]ReversePath{},
	}
}

// changes collects what a batch of messages did, for publishing.
type changes struct {
	devices, addresses, neighbours, rules, filters bool // these parts of the snapshot must be made anew

	every      bool // any path may have changed
	bump       bool // some path may have changed: what it rests on (see ground) tells
	routes     bool // an answer of the kernel may have changed; what the mirror's rest on has not, or it follows that itself
	revalidate bool // flags changed: ask the kernel whether a known path has

	events     []Event
	addressed  map[int]struct{}            // interfaces for AddressesChanged
	touched    map[neighbourKey]transition // neighbours whose MAC or usability changed
	failed     map[neighbourKey]struct{}   // neighbours reported as FAILED
	stale      map[neighbourKey]struct{}   // neighbours that have gone STALE
	deleted    map[neighbourKey]struct{}   // neighbours whose entries were deleted, and did not come back
	rereadMTU6 map[int]struct{}            // devices whose IPv6 MTU follows their MTU unannounced
	remade     map[int]struct{}            // devices that lead a datagram another way than before, or are gone, or others

	rereadRules bool // a policy rule has changed
}

// transition is what happened to a neighbour.
type transition struct {
	mac    [6]byte
	usable bool
	// bump: who uses the old MAC must learn of it. A deletion alone doesn't: the entry is asked for again first.
	bump bool
	// gone: the kernel has deleted the entry.
	gone bool
}

func newChanges() *changes {
	return &changes{
		addressed: map[int]struct{}{}, touched: map[neighbourKey]transition{}, failed: map[neighbourKey]struct{}{},
		stale: map[neighbourKey]struct{}{}, deleted: map[neighbourKey]struct{}{}, rereadMTU6: map[int]struct{}{}, remade: map[int]struct{}{},
	}
}

// apply takes one message of the subscription. Malformed and foreign ones are left alone.
func (m *model) apply(typ uint16, b []byte, c *changes) {
	switch typ {
	case unix.RTM_NEWLINK:
		if d, ok := parseLink(b); ok {
			m.setDevice(d, c)
		} else if index, mtu, ok := parseLink6(b); ok {
			m.setMTU6(index, mtu, c)
		}
	case unix.RTM_DELLINK:
		if index, ok := parseLinkGone(b); ok {
			m.deleteDevice(index, c)
		}
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if a, ok := parseAddress(b); ok {
			m.setAddress(a, typ == unix.RTM_NEWADDR, c)
		}
	case unix.RTM_NEWNEIGH:
		if n, ok := parseNeighbour(b); ok {
			m.setNeighbour(n, c)
		}
	case unix.RTM_DELNEIGH:
		if n, ok := parseNeighbour(b); ok {
			n.state = 0
			m.setNeighbour(n, c)
		}
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		c.routes, c.rereadRules = true, true
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE, unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP:
		c.routes = true
	case unix.RTM_NEWNETCONF, unix.RTM_DELNETCONF:
		c.revalidate = true // ignore_routes_with_linkdown, forwarding
		if index, filter, ok := parseNetconf(b); ok && (filter >= 0 || typ == unix.RTM_DELNETCONF) {
			m.setFilter(index, ReversePath(max(filter, 0)), c)
		}
	}
}

func (m *model) setDevice(d Device, c *changes) {
	old := m.devices[d.Index]
	if old != nil && *old == d {
		return
	}
	m.devices[d.Index] = &d
	c.devices = true
	event := func(kind EventKind) {
		c.events = append(c.events, Event{Kind: kind, Interface: d.Index, Name: d.Name, Carrier: d.Carrier})
	}
	var before Device
	switch {
	case old == nil:
		event(LinkAdded)
		c.remake(d.Index)
	case !old.samePath(d):
		event(LinkChanged)
		c.remake(d.Index)
	}
	if old != nil {
		before = *old
	}
	if old != nil && old.MTU != d.MTU {
		c.rereadMTU6[d.Index] = struct{}{}
	}
	if before.Up != d.Up {
		// IPv4 takes the routes of a downed device out without announcing it.
		c.revalidate = true
		if d.Up {
			event(LinkUp)
		} else {
			event(LinkDown)
		}
	}
	if before.Carrier != d.Carrier {
		c.revalidate = true
		event(Carrier)
	}
	if (before.Type == TypeLoopback) != (d.Type == TypeLoopback) {
		c.addresses = true // what is local depends on it
	}
}

func (m *model) deleteDevice(index int, c *changes) {
	d := m.devices[index]
	if d == nil {
		return
	}
	delete(m.devices, index)
	c.remake(index)
	for k, a := range m.addresses {
		if a.Interface == index {
			delete(m.addresses, k)
			c.addresses = true
			c.addressed[index] = struct{}{}
		}
	}
	for k := range m.neighbours {
		if k.index == index {
			delete(m.neighbours, k)
			delete(c.touched, k)
			c.neighbours = true
		}
	}
	c.events = append(c.events, Event{Kind: LinkDeleted, Interface: index, Name: d.Name})
	m.setFilter(index, ReversePathOff, c)
}

func (m *model) setAddress(a Address, present bool, c *changes) {
	k := a.key()
	old, had := m.addresses[k]
	if had == present && (!present || old == a) {
		return // a renewed lifetime
	}
	if present {
		m.addresses[k] = a
	} else {
		delete(m.addresses, k)
	}
	c.addresses, c.bump = true, true
	c.addressed[a.Interface] = struct{}{}
}

// setNeighbour takes the state of an entry; state 0 says that it is gone.
func (m *model) setNeighbour(n neighbour, c *changes) {
	old, had := m.neighbours[n.key]
	if n.state == 0 {
		c.deleted[n.key] = struct{}{}
	} else {
		delete(c.deleted, n.key)
	}
	now := entry{state: n.state, mac: old.mac, hasMAC: old.hasMAC}
	if n.state&nudUsable != 0 {
		now.mac, now.hasMAC = n.mac, !n.noMAC
	}
	if n.state&unix.NUD_FAILED != 0 {
		c.failed[n.key] = struct{}{}
		now.hasMAC = false
	} else {
		delete(c.failed, n.key)
	}
	if n.state == unix.NUD_STALE {
		c.stale[n.key] = struct{}{}
	} else {
		delete(c.stale, n.key)
	}
	switch {
	case n.state != 0:
		m.neighbours[n.key] = now
	case had:
		m.neighbours[n.key] = now
	default:
		return
	}
	changedMAC := old.hasMAC && (!now.hasMAC || now.mac != old.mac)
	if old.usable() == now.usable() && !changedMAC {
		return
	}
	c.neighbours = true
	c.touched[n.key] = transition{
		mac: now.mac, usable: now.usable(), bump: changedMAC || c.touched[n.key].bump, gone: n.state == 0,
	}
}

// replace makes the model equal to fresh, a newly read one, and notes the differences as if they had been announced. A
// device that same says is another one with an old index was deleted and added.
func (m *model) replace(fresh *model, c *changes, same func(before, now Device) bool) {
	for _, index := range slices.Sorted(maps.Keys(m.devices)) {
		if now := fresh.devices[index]; now == nil || !same(*m.devices[index], *now) {
			m.deleteDevice(index, c)
		}
	}
	for _, index := range slices.Sorted(maps.Keys(fresh.devices)) {
		m.setDevice(*fresh.devices[index], c)
	}
	for k, a := range m.addresses {
		if _, ok := fresh.addresses[k]; !ok {
			m.setAddress(a, false, c)
		}
	}
	for _, a := range fresh.addresses {
		m.setAddress(a, true, c)
	}
	for k := range m.neighbours {
		if _, ok := fresh.neighbours[k]; !ok {
			m.setNeighbour(neighbour{key: k}, c)
		}
	}
	for k, e := range fresh.neighbours {
		m.setNeighbour(neighbour{key: k, state: e.state, mac: e.mac, noMAC: !e.hasMAC}, c)
	}
	m.setRules(fresh.rules, c)
	for index := range m.filters {
		m.setFilter(index, fresh.filters[index], c)
	}
	for index, r := range fresh.filters {
		m.setFilter(index, r, c)
	}
	// Routes are not here, and what changed and changed back meanwhile is not seen.
	c.every = true
}

// snapshot makes the parts of the next snapshot that changed and shares the others with prev.
func (m *model) snapshot(prev *snapshot, c *changes) *snapshot {
	s := &snapshot{}
	if prev != nil {
		*s = *prev
	}
	s.rules = m.rules
	if prev == nil || c.filters {
		s.filters = maps.Clone(m.filters)
	}
	if prev == nil || c.devices {
		s.devices = maps.Clone(m.devices)
		s.names = make(map[string]int, len(m.devices))
		for index, d := range m.devices {
			s.names[d.Name] = index
		}
		s.stamp(prev, c.remade)
	}
	if prev == nil || c.addresses {
		s.addresses = newAddressBook(slices.Collect(maps.Values(m.addresses)), m.devices)
	}
	if prev == nil || c.neighbours {
		s.macs = make(map[neighbourKey][6]byte, len(m.neighbours))
		for k, e := range m.neighbours {
			if e.usable() {
				s.macs[k] = e.mac
			}
		}
	}
	return s
}
