// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"encoding/binary"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
)

// Sizes of the inputs of the multicast options (ws2ipdef.h).
const (
	sizeofIPMreq         = 8   // group 0, interface 4
	sizeofIPMreqSource   = 12  // group 0, source 4, interface 8
	sizeofIPv6Mreq       = 20  // group 0, interface index 16
	sizeofGroupReq       = 136 // interface index 0, group SOCKADDR_STORAGE 8
	sizeofGroupSourceReq = 264 // interface index 0, group 8, source 136
)

// memberships are the options of each level and what they change.
var memberships = [...]struct {
	level, code uint32
	size        int
	change      MembershipChange
}{
	{IPPROTO_IP, IP_ADD_MEMBERSHIP, sizeofIPMreq, JoinGroup},
	{IPPROTO_IP, IP_DROP_MEMBERSHIP, sizeofIPMreq, LeaveGroup},
	{IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, sizeofIPMreqSource, JoinSource},
	{IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP, sizeofIPMreqSource, LeaveSource},
	{IPPROTO_IP, IP_BLOCK_SOURCE, sizeofIPMreqSource, BlockSource},
	{IPPROTO_IP, IP_UNBLOCK_SOURCE, sizeofIPMreqSource, UnblockSource},
	{IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, sizeofIPv6Mreq, JoinGroup},
	{IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, sizeofIPv6Mreq, LeaveGroup},
	{anyLevel, MCAST_JOIN_GROUP, sizeofGroupReq, JoinGroup},
	{anyLevel, MCAST_LEAVE_GROUP, sizeofGroupReq, LeaveGroup},
	{anyLevel, MCAST_JOIN_SOURCE_GROUP, sizeofGroupSourceReq, JoinSource},
	{anyLevel, MCAST_LEAVE_SOURCE_GROUP, sizeofGroupSourceReq, LeaveSource},
	{anyLevel, MCAST_BLOCK_SOURCE, sizeofGroupSourceReq, BlockSource},
	{anyLevel, MCAST_UNBLOCK_SOURCE, sizeofGroupSourceReq, UnblockSource},
}

const anyLevel = 0xFFFFFFFF

// parseMembership reads the input of a multicast option. For any other option it answers
// STATUS_MORE_PROCESSING_REQUIRED.
func parseMembership(sn *snapshot, level, code uint32, input []byte) (m Membership, status NTSTATUS) {
	if level != IPPROTO_IP && (level != IPPROTO_IPV6 || sn.family != AF_INET6) {
		return m, STATUS_MORE_PROCESSING_REQUIRED
	}
	for _, o := range memberships {
		if o.code != code || o.level != level && o.level != anyLevel {
			continue
		}
		m.Change = o.change
		if len(input) != o.size || !m.parse(input, level == IPPROTO_IP) {
			return m, STATUS_INVALID_PARAMETER
		}
		return m, STATUS_SUCCESS
	}
	return m, STATUS_MORE_PROCESSING_REQUIRED
}

// parse reads one of the five structures, which differ in size. It reports false when the group is not a multicast
// address, or an address is not of the level's family.
func (m *Membership) parse(b []byte, is4 bool) bool {
	var group, source remote
	ok, bySource := true, false
	switch len(b) {
	case sizeofIPMreq:
		group = remote4(b)
		m.setInterface(b[4:])
	case sizeofIPMreqSource:
		group, source, bySource = remote4(b), remote4(b[4:]), true
		m.setInterface(b[8:])
	case sizeofIPv6Mreq:
		group.Words = ipaddr.Load((*[16]byte)(b))
		ok = !group.Is4()
		m.IfIndex = binary.LittleEndian.Uint32(b[16:])
	case sizeofGroupReq, sizeofGroupSourceReq:
		m.IfIndex = binary.LittleEndian.Uint32(b)
		ok = parseGroup(&group, b[8:136], is4)
		if bySource = len(b) == sizeofGroupSourceReq; bySource {
			ok = ok && parseGroup(&source, b[136:], is4)
		}
	}
	if !ok || !group.IsMulticast() || bySource && (source.IsMulticast() || source.IsUnspecified()) {
		return false
	}
	group.Store(&m.Group)
	if bySource {
		source.Store(&m.Source)
	}
	return true
}

// parseGroup reads a SOCKADDR_STORAGE of the level's family. The port does not matter.
func parseGroup(r *remote, storage []byte, is4 bool) bool {
	family := uint16(AF_INET6)
	if is4 {
		family = AF_INET
	}
	return r.parse(storage, family) == STATUS_SUCCESS && r.is4 == is4
}

// setInterface reads the interface of the IPv4 forms: one of its addresses, or its index as 0.x.x.x, both in network
// order.
func (m *Membership) setInterface(b []byte) {
	if b[0] == 0 {
		m.IfIndex = binary.BigEndian.Uint32(b)
		return
	}
	r := remote4(b)
	r.Store(&m.Local)
}

// changeMembership has the transport join or leave. Before the bind there is nothing to join with, and for a transport
// that does not receive joining is of no use.
func (s *Socket) changeMembership(sn *snapshot, m *Membership) NTSTATUS {
	switch {
	case sn.endpoint == nil:
		return STATUS_INVALID_DEVICE_REQUEST
	case !sn.receives:
		return STATUS_NOT_SUPPORTED
	case sn.bind != bound:
		return STATUS_INVALID_DEVICE_STATE
	}
	return sn.endpoint.(ReceivingEndpoint).Change(*m)
}
