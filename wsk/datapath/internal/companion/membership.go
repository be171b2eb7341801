// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// memberships are the groups of an owner.
type memberships struct {
	mu  lockrank.Mutex[locks.MembersMu]
	all map[groupKey]*membership
}

type groupKey struct {
	group   netip.Addr // IPv4 unmapped, no zone
	ifindex uint32
}

// membership is one group on one interface: what the kernel was told, and what the receive queues go by.
type membership struct {
	filter receive.SourceFilter
	entry  receive.PortEntry
	socket *Socket // that has joined, and receives what does not come through AF_XDP
}

// Change changes a membership, see [wsk.ReceivingEndpoint]. The kernel joins first, so that its report has left when frames are redirected, and
// leaves last.
func (own *Owner) Change(m wsk.Membership) wsk.NTSTATUS {
	key, status := own.groupOf(&m)
	if status != wsk.STATUS_SUCCESS {
		return status
	}
	source := ipaddr.Addr(m.Source)
	if m.Change >= wsk.JoinSource && (source.Is4() != key.group.Is4() || source.IsUnspecified() || source.IsMulticast()) {
		return wsk.STATUS_INVALID_PARAMETER
	}
	ms := &own.members
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if own.Companion == nil || own.Ended.Load() {
		return wsk.STATUS_INVALID_DEVICE_STATE
	}
	old := ms.all[key]
	next, status := changed(old, m.Change, source.As16())
	if status != wsk.STATUS_SUCCESS {
		return status
	}
	switch {
	case old == nil:
		return ms.join(own, key, m.Change, source, next)
	case next == nil:
		ms.leave(own, key, old)
		return wsk.STATUS_SUCCESS
	}
	if err := old.socket.changeGroup(groupOption(m.Change), key, source); err != nil {
		return memberStatus(err)
	}
	old.filter = *next
	own.Host.Hub.SetMember(own.Sink, key.group, key.ifindex, next)
	return wsk.STATUS_SUCCESS
}

// changed is the filter after a change, nil for none, or the status that refuses the change (RFC 3678 section 4.1).
func changed(old *membership, change wsk.MembershipChange, source [16]byte) (*receive.SourceFilter, wsk.NTSTATUS) {
	if old == nil {
		switch change {
		case wsk.JoinGroup:
			return &receive.SourceFilter{}, wsk.STATUS_SUCCESS
		case wsk.JoinSource:
			return &receive.SourceFilter{Include: true, Sources: [][16]byte{source}}, wsk.STATUS_SUCCESS
		}
		return nil, wsk.STATUS_NOT_FOUND
	}
	f := receive.SourceFilter{Include: old.filter.Include, Sources: slices.Clone(old.filter.Sources)}
	at := slices.Index(f.Sources, source)
	adds := change == wsk.JoinSource || change == wsk.BlockSource
	switch {
	case change == wsk.JoinGroup:
		return nil, wsk.STATUS_ADDRESS_ALREADY_EXISTS
	case change == wsk.LeaveGroup:
		return nil, wsk.STATUS_SUCCESS
	case f.Include != (change == wsk.JoinSource || change == wsk.LeaveSource):
		return nil, wsk.STATUS_INVALID_PARAMETER // the other sort of membership
	case adds && at >= 0:
		return nil, wsk.STATUS_ADDRESS_ALREADY_EXISTS
	case !adds && at < 0:
		return nil, wsk.STATUS_NOT_FOUND
	case adds:
		f.Sources = append(f.Sources, source)
	default:
		f.Sources = slices.Delete(f.Sources, at, at+1)
	}
	if f.Include && len(f.Sources) == 0 {
		return nil, wsk.STATUS_SUCCESS // the last source takes the membership along
	}
	return &f, wsk.STATUS_SUCCESS
}

func (ms *memberships) join(own *Owner, key groupKey, change wsk.MembershipChange, source netip.Addr, f *receive.SourceFilter) wsk.NTSTATUS {
	k, err := own.Companion.socketFor(key)
	if err == nil {
		if err = k.changeGroup(groupOption(change), key, source); err != nil {
			own.Companion.leaveSocket(k, key)
		}
	}
	if err != nil {
		own.Host.Log.Debug("join group", "group", key.group, "interface", key.ifindex, "err", err)
		return memberStatus(err)
	}
	m := &membership{filter: *f, socket: k}
	if ms.all == nil {
		ms.all = make(map[groupKey]*membership)
	}
	ms.all[key] = m
	own.Host.Hub.SetMember(own.Sink, key.group, key.ifindex, f)
	m.entry = own.Host.Hub.AddGroup(own.Sink, key.group, key.ifindex)
	return wsk.STATUS_SUCCESS
}

func (ms *memberships) leave(own *Owner, key groupKey, m *membership) {
	delete(ms.all, key)
	own.Host.Hub.RemoveGroup(m.entry)
	own.Host.Hub.SetMember(own.Sink, key.group, key.ifindex, nil)
	if err := m.socket.changeGroup(unix.MCAST_LEAVE_GROUP, key, netip.Addr{}); err != nil {
		own.Host.Log.Debug("leave group", "group", key.group, "interface", key.ifindex, "err", err)
	}
	own.Companion.leaveSocket(m.socket, key)
}

func (ms *memberships) leaveAll(own *Owner) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for key, m := range ms.all {
		ms.leave(own, key, m)
	}
}

// groupOf checks a membership's group and finds its interface.
func (own *Owner) groupOf(m *wsk.Membership) (groupKey, wsk.NTSTATUS) {
	key := groupKey{group: ipaddr.Addr(m.Group), ifindex: m.IfIndex}
	local := ipaddr.Addr(m.Local)
	switch {
	case !key.group.IsMulticast(), m.Change > wsk.UnblockSource, key.group.Is4() && own.Family == wsk.AF_INET6 && !own.dual,
		key.group.Is6() && own.Family == wsk.AF_INET:
		return key, wsk.STATUS_INVALID_PARAMETER
	case key.ifindex != 0:
		return key, wsk.STATUS_SUCCESS
	case !local.IsUnspecified():
		index, ok := own.Host.Routes.AddressDevice(local)
		if !ok {
			return key, wsk.STATUS_INVALID_ADDRESS_COMPONENT
		}
		key.ifindex = uint32(index)
		return key, wsk.STATUS_SUCCESS
	}
	// What was joined without an interface is left without one too, also when the route has changed.
	if m.Change != wsk.JoinGroup && m.Change != wsk.JoinSource {
		own.members.mu.Lock()
		defer own.members.mu.Unlock()
		for k := range own.members.all {
			if k.group == key.group {
				return k, wsk.STATUS_SUCCESS
			}
		}
		return key, wsk.STATUS_NOT_FOUND
	}
	hop, err := own.Host.Routes.Resolve(own.Host.Ctx, route.Query{Dst: key.group})
	if err != nil {
		return key, wsk.STATUS_INVALID_ADDRESS_COMPONENT
	}
	key.ifindex = uint32(hop.Interface)
	return key, wsk.STATUS_SUCCESS
}

// memberStatus translates what the kernel says to a membership (ip(7)).
func memberStatus(err error) wsk.NTSTATUS {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return wsk.STATUS_ADDRESS_ALREADY_EXISTS
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return wsk.STATUS_NOT_FOUND
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return wsk.STATUS_INVALID_ADDRESS_COMPONENT
	}
	return errnoStatus(err)
}
