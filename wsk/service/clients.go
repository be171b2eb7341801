// SPDX-License-Identifier: Apache-2.0

package service

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
)

// Client is a session, as an operator sees it.
type Client struct {
	Session  uint64 // its number, as in the log
	UID, GID uint32
	Listener string
	Grant    string
	// PID and Command are for people: of the process that has connected, as it called itself then.
	PID     int
	Command string
	Sockets []netip.AddrPort // that are bound, in no order
}

// Clients are those that are connected, in the order in which they have come.
func (s *Server) Clients() []Client {
	s.mu.Lock()
	sessions := slices.Collect(maps.Keys(s.sessions))
	s.mu.Unlock()
	list := make([]Client, 0, len(sessions))
	for _, n := range sessions {
		list = append(list, n.client())
	}
	slices.SortFunc(list, func(a, b Client) int { return cmp.Compare(a.Session, b.Session) })
	return list
}

func (n *session) client() Client {
	c := Client{
		Session: n.number, UID: n.who.UID, GID: n.who.GID, Listener: n.who.Listener, Grant: n.granted.Load().grant.Name,
		PID: n.who.PID, Command: n.who.Comm,
	}
	n.mu.Lock()
	sockets := slices.Collect(maps.Values(n.sockets))
	n.mu.Unlock()
	for _, k := range sockets {
		if k.isOpen() { // its address is not written any more
			c.Sockets = append(c.Sockets, k.local)
		}
	}
	return c
}
