// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// takeGroups has the connection join and leave what the socket has joined and left. A membership that the connection can't
// have is an error, and the socket leaves it.
func (c *Conn) takeGroups(m *mirror) error {
	now := groupsOf(m.fd)
	var errs []error
	for g := range m.groups {
		if _, still := now[g]; !still {
			errs = append(errs, c.changeGroup(wsk.MCAST_LEAVE_GROUP, g, netip.Addr{}))
			delete(m.groups, g)
		}
	}
	for g, s := range now {
		old, was := m.groups[g]
		err := c.changeSources(g, old, was, s)
		if err == nil {
			if m.groups == nil {
				m.groups = make(map[group]sources)
			}
			m.groups[g] = s
			continue
		}
		_ = c.changeGroup(wsk.MCAST_LEAVE_GROUP, g, netip.Addr{})
		leaveGroup(m.fd, g)
		delete(m.groups, g)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// changeSources makes the connection a member of a group, or one that hears other senders of it.
func (c *Conn) changeSources(g group, old sources, was bool, s sources) error {
	if was && old.include != s.include {
		if err := c.changeGroup(wsk.MCAST_LEAVE_GROUP, g, netip.Addr{}); err != nil {
			return err
		}
		old, was = sources{}, false
	}
	if !was && !s.include {
		if err := c.changeGroup(wsk.MCAST_JOIN_GROUP, g, netip.Addr{}); err != nil {
			return err
		}
	}
	add, remove := uint32(wsk.MCAST_BLOCK_SOURCE), uint32(wsk.MCAST_UNBLOCK_SOURCE)
	if s.include {
		add, remove = wsk.MCAST_JOIN_SOURCE_GROUP, wsk.MCAST_LEAVE_SOURCE_GROUP
	}
	for _, a := range s.list {
		if !slices.Contains(old.list, a) {
			if err := c.changeGroup(add, g, a); err != nil {
				return err
			}
		}
	}
	for _, a := range old.list {
		if !slices.Contains(s.list, a) {
			if err := c.changeGroup(remove, g, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// changeGroup sets an option with a GROUP_REQ or, with a source, a GROUP_SOURCE_REQ.
func (c *Conn) changeGroup(code uint32, g group, source netip.Addr) error {
	req := make([]byte, groupAt+sizeofStorage, groupAt+2*sizeofStorage)
	binary.LittleEndian.PutUint32(req, g.ifindex)
	copy(req[groupAt:], wsk.NewSockaddr(netip.AddrPortFrom(g.addr, 0)))
	if source.IsValid() {
		req = req[:cap(req)]
		copy(req[groupAt+sizeofStorage:], wsk.NewSockaddr(netip.AddrPortFrom(source, 0)))
	}
	return c.setOptionBytes(uint32(g.level()), code, req)
}

// linuxMcastLeaveGroup is MCAST_LEAVE_GROUP (linux/in.h).
const linuxMcastLeaveGroup = 45

func leaveGroup(fd int, g group) {
	req := make([]byte, groupAt+sizeofStorage)
	binary.NativeEndian.PutUint32(req, g.ifindex)
	putKernelAddress(req[groupAt:], g.addr)
	_ = syscall.SetsockoptString(fd, g.level(), linuxMcastLeaveGroup, string(req))
}

// groupsOf are the memberships of a socket. The kernel lists those of all sockets together, and says of each, when it is
// asked, whether a socket has it. Without /proc none are found.
func groupsOf(fd int) map[group]sources {
	found := make(map[group]sources)
	for _, list := range [...]func() []group{listed4, listed6} {
		for _, g := range list() {
			if s, member := sourcesOf(fd, g); member {
				found[g] = s
			}
		}
	}
	return found
}

// listed4 is /proc/net/igmp: a line for each interface, which begins with its index, and lines for its groups behind
// that, which begin with white space and the address as a number of the host's order.
func listed4() (list []group) {
	text, _ := os.ReadFile("/proc/thread-self/net/igmp")
	var ifindex uint64
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case line[0] != '\t' && line[0] != ' ':
			ifindex, _ = strconv.ParseUint(fields[0], 10, 32)
		default:
			word, err := strconv.ParseUint(fields[0], 16, 32)
			if err != nil {
				continue
			}
			list = append(list, group{netip.AddrFrom4([4]byte(binary.NativeEndian.AppendUint32(nil, uint32(word)))), uint32(ifindex)})
		}
	}
	return list
}

// listed6 is /proc/net/igmp6: a line for each group, with the interface's index, its name and the address in 32 digits.
func listed6() (list []group) {
	text, _ := os.ReadFile("/proc/thread-self/net/igmp6")
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		ifindex, err := strconv.ParseUint(fields[0], 10, 32)
		b, err2 := hex.DecodeString(fields[2])
		if err == nil && err2 == nil && len(b) == 16 {
			list = append(list, group{netip.AddrFrom16([16]byte(b)), uint32(ifindex)})
		}
	}
	return list
}
