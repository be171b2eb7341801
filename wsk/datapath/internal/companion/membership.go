// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// membership is one group on one interface: what the kernel was told, and what the receive queues go by.
type membership struct {
	filter receive.SourceFilter
	entry  receive.PortEntry
	socket *socket // that has joined, and receives what does not come through AF_XDP
	age    uint64  // how many interfaces had been deleted when it began
}

// Change changes a membership, see [wsk.ReceivingEndpoint]. The kernel joins first, so that its report has left when
// frames are redirected, and leaves last.
func (s *Sockets) Change(m wsk.Membership) wsk.NTSTATUS {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, status := s.groupOf(&m)
	if status != wsk.STATUS_SUCCESS {
		return status
	}
	source := ipaddr.Addr(m.Source)
	isHost := !source.IsUnspecified() && !source.IsMulticast()
	if m.Change >= wsk.JoinSource && (source.Is4() != key.group.Is4() || !isHost) {
		return wsk.STATUS_INVALID_PARAMETER
	}
	if s.companion == nil || s.ended.Load() {
		return wsk.STATUS_INVALID_DEVICE_STATE
	}
	old := s.memberships[key]
	next, status := changed(old, m.Change, source.As16())
	if status != wsk.STATUS_SUCCESS {
		return status
	}
	switch {
	case old == nil:
		return s.join(key, m.Change, source, next)
	case next == nil:
		s.leave(key, old)
		return wsk.STATUS_SUCCESS
	}
	if err := old.socket.changeGroup(groupOption(m.Change), key, source); err != nil {
		return memberStatus(err)
	}
	old.filter = *next
	s.host.Hub.SetMember(s.sink, key.group, key.ifindex, next)
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

func (s *Sockets) join(
	key groupKey, change wsk.MembershipChange, source netip.Addr, f *receive.SourceFilter,
) wsk.NTSTATUS {
	k, err := s.socketFor(key)
	if err == nil {
		if err = k.changeGroup(groupOption(change), key, source); err != nil {
			s.leaveSocket(k, key)
		}
	}
	if err != nil {
		s.host.Log.Debug("join group", "group", key.group, "interface", key.ifindex, "err", err)
		return memberStatus(err)
	}
	m := &membership{filter: *f, socket: k, age: s.host.deleted.Load()}
	if s.memberships == nil {
		s.memberships = make(map[groupKey]*membership)
	}
	s.memberships[key] = m
	s.host.members.forget()
	s.host.Hub.SetMember(s.sink, key.group, key.ifindex, f)
	m.entry = s.host.Hub.AddGroup(s.sink, key.group, key.ifindex)
	return wsk.STATUS_SUCCESS
}

func (s *Sockets) leave(key groupKey, m *membership) {
	delete(s.memberships, key)
	s.host.Hub.RemoveGroup(m.entry)
	s.host.Hub.SetMember(s.sink, key.group, key.ifindex, nil)
	if err := m.socket.changeGroup(unix.MCAST_LEAVE_GROUP, key, netip.Addr{}); err != nil {
		s.host.Log.Debug("leave group", "group", key.group, "interface", key.ifindex, "err", err)
	}
	s.leaveSocket(m.socket, key)
	s.host.members.forget()
}

// LeaveAll ends every membership, before the port is given back.
func (s *Sockets) LeaveAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, m := range s.memberships {
		s.leave(key, m)
	}
}

// InterfaceDeleted notes that an interface has gone, for LeaveInterface.
func (h *Host) InterfaceDeleted() (age uint64) { return h.deleted.Add(1) }

// LeaveInterface ends the memberships on an interface that has been deleted, of which the kernel's sockets keep theirs though they are
// no members any more. One that began after InterfaceDeleted is on another interface that has the index now.
func (s *Sockets) LeaveInterface(ifindex uint32, age uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, m := range s.memberships {
		if key.ifindex == ifindex && m.age < age {
			s.leave(key, m)
		}
	}
}

// socketFor is the kernel socket that joins a group: the companion where it can receive the group, else one bound to
// the group. mu is held.
func (s *Sockets) socketFor(key groupKey) (*socket, error) {
	group, local := key.scoped(), s.local.Addr().Unmap()
	if local.IsUnspecified() || local == group || local.WithZone("") == group {
		return s.companion, nil
	}
	if g := s.groups[group]; g != nil {
		g.joined++
		return g.socket, nil
	}
	six := key.group.Is6()
	options := receiveBuffer(s.host.Buffer)
	if six {
		options = append(options, sockopt{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1})
	}
	at := netip.AddrPortFrom(group, s.local.Port())
	k, err := openSocket(s.host.InNetNS, s.host.Log, six, -1, options, func(k *socket, fd int) error {
		return s.host.ports.bindGroup(s.holding, k, fd, at)
	})
	if err != nil {
		return nil, err
	}
	if s.groups == nil {
		s.groups = make(groupSockets)
	}
	s.groups[group] = &groupSocket{socket: k, joined: 1}
	k.setReceive(*s.options.Load())
	s.startReading(k)
	return k, nil
}

// leaveSocket closes a group's socket after its last membership. mu is held.
func (s *Sockets) leaveSocket(k *socket, key groupKey) {
	g := s.groups[key.scoped()]
	if g == nil || k != g.socket {
		return
	}
	if g.joined--; g.joined > 0 {
		return
	}
	delete(s.groups, key.scoped())
	s.host.ports.closeGroup(s.holding, k)
}

// groupOf checks a membership's group and finds its interface. mu is held.
func (s *Sockets) groupOf(m *wsk.Membership) (groupKey, wsk.NTSTATUS) {
	key := groupKey{group: ipaddr.Addr(m.Group), ifindex: m.IfIndex}
	local := ipaddr.Addr(m.Local)
	switch {
	case !key.group.IsMulticast(), m.Change > wsk.UnblockSource, key.group.Is4() && s.family == wsk.AF_INET6 && !s.dual,
		key.group.Is6() && s.family == wsk.AF_INET:
		return key, wsk.STATUS_INVALID_PARAMETER
	case key.ifindex != 0:
		return key, wsk.STATUS_SUCCESS
	case !local.IsUnspecified():
		index, ok := s.host.Routes.AddressDevice(local)
		if !ok {
			return key, wsk.STATUS_INVALID_ADDRESS_COMPONENT
		}
		key.ifindex = uint32(index)
		return key, wsk.STATUS_SUCCESS
	}
	// What was joined without an interface is left without one too, also when the route has changed.
	if m.Change != wsk.JoinGroup && m.Change != wsk.JoinSource {
		for k := range s.memberships {
			if k.group == key.group {
				return k, wsk.STATUS_SUCCESS
			}
		}
		return key, wsk.STATUS_NOT_FOUND
	}
	hop, err := s.host.Routes.Resolve(s.host.Ctx, route.Query{Dst: key.group})
	if err != nil {
		return key, wsk.STATUS_INVALID_ADDRESS_COMPONENT
	}
	key.ifindex = uint32(hop.Interface)
	return key, wsk.STATUS_SUCCESS
}
