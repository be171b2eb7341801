// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net/netip"
	"sync"
)

// mirror is the socket of the kernel that [Conn.SyscallConn] gives, and the options that it had when it was last looked
// at. It is bound to nothing, so that nothing is read from it or sent by it: it is there to be asked and told.
type mirror struct {
	mu      sync.Mutex
	open    bool
	closed  bool
	fd      int
	values  []int             // by the table of options
	groups  map[group]sources // multicast groups that the connection has joined because the socket has
	release func(fd int)
}

// group is a multicast group on an interface. Its address has no zone.
type group struct {
	addr    netip.Addr
	ifindex uint32
}

// level is the one of the group's options.
func (g group) level() int {
	if g.addr.Is4() {
		return linuxSolIP
	}
	return linuxSolIPv6
}

// sources are the senders of a group that a member hears: all but those listed, or with include those alone.
type sources struct {
	include bool
	list    []netip.Addr
}

// close closes the socket, and has none opened any more.
func (m *mirror) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open {
		m.release(m.fd)
	}
	m.open, m.closed = false, true
}
