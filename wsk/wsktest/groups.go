// SPDX-License-Identifier: Apache-2.0

package wsktest

import (
	"net/netip"
	"slices"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// groups are the memberships of an endpoint, by group and interface.
type groups map[groupKey]*membership

type groupKey struct {
	group   netip.Addr
	ifIndex uint32
}

type membership struct {
	any     bool // joined for every source that is not blocked
	sources []netip.Addr
	blocked []netip.Addr
}

// has reports whether an arrival is for a member. An interface index of 0, on either side, fits any interface.
func (g groups) has(a *Arrival) bool {
	to, from := a.To.Addr().Unmap().WithZone(""), a.From.Addr().Unmap().WithZone("")
	for key, m := range g {
		if key.group != to || key.ifIndex != 0 && a.IfIndex != 0 && key.ifIndex != a.IfIndex {
			continue
		}
		if m.any && !slices.Contains(m.blocked, from) || slices.Contains(m.sources, from) {
			return true
		}
	}
	return false
}

// Configure implements wsk.ReceivingEndpoint.
func (e *endpoint) Configure(options wsk.ReceiveOptions) {
	e.t.mu.Lock()
	defer e.t.mu.Unlock()
	if !e.local.IsValid() || e.closed {
		panic("wsktest: Configure of an endpoint that is not bound")
	}
	e.options = options
	e.t.counts.Configured++
}

// Options returns what the socket bound to local has configured.
func (t *Transport) Options(local netip.AddrPort) wsk.ReceiveOptions {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.endpoints {
		if e.local == local {
			return e.options
		}
	}
	return wsk.ReceiveOptions{}
}

// Change implements wsk.ReceivingEndpoint.
func (e *endpoint) Change(m wsk.Membership) wsk.NTSTATUS {
	t := e.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if local := ipaddr.Addr(m.Local); m.IfIndex == 0 && m.Local != [16]byte{} {
		i := slices.Index(t.local, local)
		if i < 0 {
			return wsk.STATUS_INVALID_ADDRESS_COMPONENT
		}
		m.IfIndex = uint32(i + 1)
	}
	key := groupKey{ipaddr.Addr(m.Group), m.IfIndex}
	source := ipaddr.Addr(m.Source)
	g := e.groups[key]
	if g == nil {
		g = new(membership)
	}
	status := g.change(m.Change, source)
	if status == wsk.STATUS_SUCCESS {
		if e.groups[key] = g; !g.any && len(g.sources) == 0 {
			delete(e.groups, key)
		}
	}
	return status
}

// change changes a membership as RFC 3678 section 4.1 has it: one is for every source but some, or for some.
func (g *membership) change(change wsk.MembershipChange, source netip.Addr) wsk.NTSTATUS {
	joined, list := g.any || len(g.sources) > 0, &g.sources
	if change == wsk.BlockSource || change == wsk.UnblockSource {
		list = &g.blocked
	}
	at := slices.Index(*list, source)
	switch {
	case !joined && change != wsk.JoinGroup && change != wsk.JoinSource:
		return wsk.STATUS_NOT_FOUND
	case change == wsk.JoinGroup && joined:
		return wsk.STATUS_ADDRESS_ALREADY_EXISTS
	case change == wsk.JoinGroup:
		g.any = true
	case change == wsk.LeaveGroup:
		*g = membership{}
	case joined && g.any != (list == &g.blocked):
		return wsk.STATUS_INVALID_PARAMETER
	case change == wsk.JoinSource, change == wsk.BlockSource:
		if at >= 0 {
			return wsk.STATUS_ADDRESS_ALREADY_EXISTS
		}
		*list = append(*list, source)
	case at < 0:
		return wsk.STATUS_NOT_FOUND
	default:
		*list = slices.Delete(*list, at, at+1)
	}
	return wsk.STATUS_SUCCESS
}

// Addresses implements wsk.AddressSource: the addresses of SetLocal.
func (t *Transport) Addresses(family uint16) (list []wsk.Address) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.local {
		if a.Is4() == (family == wsk.AF_INET) {
			list = append(list, address(netip.AddrPortFrom(a, 0)))
		}
	}
	return list
}

// WatchAddresses implements wsk.AddressSource: SetLocal calls changed.
func (t *Transport) WatchAddresses(changed func()) (cancel func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &changed
	t.watchers = append(t.watchers, w)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.watchers = slices.DeleteFunc(t.watchers, func(o *func()) bool { return o == w })
	}
}

// SourceFor implements wsk.AddressSource. It is the first local address of the destination's IP version, and for a
// link-local destination the first one that is link-local too.
func (t *Transport) SourceFor(to wsk.Address) (wsk.Address, wsk.NTSTATUS) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := ipaddr.Addr(to.Addr)
	for _, a := range t.local {
		if a.Is4() == d.Is4() && a.IsLinkLocalUnicast() == d.IsLinkLocalUnicast() {
			return address(netip.AddrPortFrom(a, 0)), wsk.STATUS_SUCCESS
		}
	}
	return wsk.Address{}, wsk.STATUS_NETWORK_UNREACHABLE
}
