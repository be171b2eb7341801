// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// portTables finds the endpoints of a datagram by its port: two levels of pages, so that a look-up is two loads and a
// bind replaces one small table. Tables are immutable; changes are made under hub.portsMu.
type portTables struct {
	pages [256]atomic.Pointer[portPage]
}

type portPage [256]atomic.Pointer[portTable]

// portTable is who receives on one port.
type portTable struct {
	// sockets are the bound endpoints: those of a specific address before those of any, later ones before earlier
	// ones. The first that matches owns a unicast datagram.
	sockets []binding
	members []member
}

// binding is what an endpoint is bound to.
type binding struct {
	sink       *Sink
	addr       [16]byte // v4-mapped
	scope      uint32   // of a link-local address, else 0
	any4, any6 bool     // instead of addr
}

// member is an endpoint in a multicast group on an interface.
type member struct {
	sink    *Sink
	group   [16]byte
	ifindex uint32
	filter  SourceFilter
}

func bindingOf(to *Sink, local netip.Addr, dual bool) binding {
	b := binding{sink: to}
	switch a := local.Unmap().WithZone(""); {
	case !a.IsUnspecified():
		b.addr, b.scope = a.As16(), scopeOf(local)
	case a.Is4():
		b.any4 = true
	default:
		b.any6, b.any4 = true, dual
	}
	return b
}

func (b *binding) specific() bool { return !b.any4 && !b.any6 }

// matches reports whether a datagram to dst, arrived on ifindex, is for this socket.
func (b *binding) matches(dst *[16]byte, ifindex uint32) bool {
	switch {
	case b.specific():
		return b.addr == *dst && (b.scope == 0 || b.scope == ifindex)
	case ipaddr.Is4(dst):
		return b.any4
	}
	return b.any6
}

func (x *portTables) slot(port uint16) *atomic.Pointer[portTable] {
	page := &x.pages[port>>8]
	p := page.Load()
	if p == nil {
		p = new(portPage)
		if !page.CompareAndSwap(nil, p) {
			p = page.Load()
		}
	}
	return &p[port&0xff]
}

// find is the table of a port, or nil.
func (x *portTables) find(port uint16) *portTable {
	if p := x.pages[port>>8].Load(); p != nil {
		return p[port&0xff].Load()
	}
	return nil
}

// unicast is the endpoint that owns a unicast datagram, or nil.
func (t *portTable) unicast(dst *[16]byte, ifindex uint32) *Sink {
	if t == nil {
		return nil
	}
	for i := range t.sockets {
		if b := &t.sockets[i]; b.matches(dst, ifindex) {
			return b.sink
		}
	}
	return nil
}

// update replaces the table of a port by what change makes of a copy. hub.portsMu is held.
func (x *portTables) update(port uint16, change func(*portTable)) {
	slot := x.slot(port)
	var t portTable
	if old := slot.Load(); old != nil {
		t = portTable{slices.Clone(old.sockets), slices.Clone(old.members)}
	}
	change(&t)
	if len(t.sockets) == 0 && len(t.members) == 0 {
		slot.Store(nil)
		return
	}
	slot.Store(&t)
}

// insert enters a socket before all that are not more specific.
func (t *portTable) insert(b binding) {
	at := 0
	if !b.specific() {
		for at < len(t.sockets) && t.sockets[at].specific() {
			at++
		}
	}
	t.sockets = slices.Insert(t.sockets, at, b)
}

// remove takes everything of an endpoint out.
func (t *portTable) remove(s *Sink) {
	t.sockets = slices.DeleteFunc(t.sockets, func(b binding) bool { return b.sink == s })
	t.members = slices.DeleteFunc(t.members, func(m member) bool { return m.sink == s })
}

// setMember enters a membership, replaces its filter, or removes it when filter is nil.
func (t *portTable) setMember(s *Sink, group [16]byte, ifindex uint32, filter *SourceFilter) {
	t.members = slices.DeleteFunc(t.members, func(m member) bool {
		return m.sink == s && m.group == group && m.ifindex == ifindex
	})
	if filter != nil {
		t.members = append(t.members, member{s, group, ifindex, *filter})
	}
}

// SourceFilter is which sources of a group are wanted: those named, or all but those named. Immutable.
type SourceFilter struct {
	Include bool
	Sources [][16]byte
}

func (f *SourceFilter) allows(source *[16]byte) bool {
	return slices.Contains(f.Sources, *source) == f.Include
}

// scopeOf is the interface index that the zone of an address names in decimal, 0 without one.
func scopeOf(a netip.Addr) (scope uint32) {
	for _, c := range []byte(a.Zone()) {
		if c < '0' || c > '9' {
			return 0
		}
		scope = scope*10 + uint32(c-'0')
	}
	return scope
}

// WireAddress is a source address as the socket above gets it.
func WireAddress(a netip.AddrPort, ifindex uint32) wsk.Address {
	out := wsk.Address{Addr: a.Addr().As16(), Port: a.Port()}
	if ipaddr.Load(&out.Addr).IsLinkLocal6() {
		out.Scope = ifindex
	}
	return out
}
