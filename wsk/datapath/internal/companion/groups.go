// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"encoding/binary"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// groupSockets are the further kernel sockets of an endpoint that is bound to one unicast address and has joined
// groups. On Windows such a socket receives the groups' datagrams; on Linux only one bound to the group, or to any
// address, does. They also keep the group's port from other programs, whose datagrams the XDP program would take
// otherwise (I12). The key is what they are bound to: a group of an interface's or a link's scope needs a socket for
// each interface, as the kernel binds it to one.
type groupSockets map[netip.Addr]*groupSocket

type groupSocket struct {
	*socket
	joined int // memberships that need it
}

// groupKey names a group on one interface.
type groupKey struct {
	group   netip.Addr // IPv4 unmapped, no zone
	ifindex uint32
}

// scoped is the group, with the interface as its zone where the group means something there only.
func (k groupKey) scoped() netip.Addr {
	if k.group.Is6() && (k.group.IsLinkLocalMulticast() || k.group.IsInterfaceLocalMulticast()) {
		return k.group.WithZone(zoneOf(k.ifindex))
	}
	return k.group
}

// groupOption is the socket option of a change (ip(7), RFC 3678 section 5).
func groupOption(change wsk.MembershipChange) int {
	return [...]int{
		wsk.JoinGroup: unix.MCAST_JOIN_GROUP, wsk.LeaveGroup: unix.MCAST_LEAVE_GROUP,
		wsk.JoinSource: unix.MCAST_JOIN_SOURCE_GROUP, wsk.LeaveSource: unix.MCAST_LEAVE_SOURCE_GROUP,
		wsk.BlockSource: unix.MCAST_BLOCK_SOURCE, wsk.UnblockSource: unix.MCAST_UNBLOCK_SOURCE,
	}[change]
}

// changeGroup sets one of those options: struct group_req, or struct group_source_req when there is a source.
func (s *socket) changeGroup(option int, key groupKey, source netip.Addr) error {
	lockrank.AssertMay(locks.Ask, "to change a group")
	const storage = 128 // struct sockaddr_storage, behind the interface index and padding
	req := make([]byte, 8+storage, 8+2*storage)
	binary.NativeEndian.PutUint32(req, key.ifindex)
	putKernelAddress(req[8:], key.group)
	switch option {
	case unix.MCAST_JOIN_GROUP, unix.MCAST_LEAVE_GROUP:
	default:
		req = req[:8+2*storage]
		putKernelAddress(req[8+storage:], source)
	}
	level := unix.IPPROTO_IPV6
	if key.group.Is4() {
		level = unix.IPPROTO_IP
	}
	return s.control(func(fd int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptString(fd, level, option, string(req)))
	})
}

// putKernelAddress writes a struct sockaddr_in or sockaddr_in6 with port 0.
func putKernelAddress(b []byte, a netip.Addr) {
	if a.Is4() {
		binary.NativeEndian.PutUint16(b, unix.AF_INET)
		v4 := a.As4()
		copy(b[4:], v4[:])
		return
	}
	binary.NativeEndian.PutUint16(b, unix.AF_INET6)
	v6 := a.As16()
	copy(b[8:], v6[:])
}
