// SPDX-License-Identifier: Apache-2.0

package service

import (
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/quota"
)

// groups are the memberships of a socket. Each may cost a descriptor and a goroutine below, so they are counted, and
// what a reload takes away has to be found. Changes come from the goroutine that reads, and from others that take back.
type groups struct {
	mu     sync.Mutex       // held while the transport is told, so that it has what is here
	joined map[groupKey]int // how many sources each is of; 0: of all
}

// groupKey is a group on an interface.
type groupKey struct {
	group [16]byte
	index uint32
}

// change has ep make a change on the interface m.IfIndex. mu is held.
func (g *groups) change(ep wsk.ReceivingEndpoint, share *quota.Share, m wsk.Membership) (wsk.NTSTATUS, ipc.Reason) {
	key := groupKey{m.Group, m.IfIndex}
	sources, known := g.joined[key]
	begins := !known && (m.Change == wsk.JoinGroup || m.Change == wsk.JoinSource)
	if begins && !share.TakeMembership() {
		return wsk.STATUS_INSUFFICIENT_RESOURCES, ipc.ReasonMemberships
	}
	status := ep.Change(m)
	switch {
	case status != wsk.STATUS_SUCCESS:
		if begins {
			share.GiveMembership(1)
		} else if m.Change == wsk.LeaveGroup && status == wsk.STATUS_NOT_FOUND { // it has gone with its interface
			g.forget(share, key)
		}
		return status, reasonOf(status)
	case m.Change == wsk.JoinSource:
		sources++
	case m.Change == wsk.LeaveSource:
		sources--
	}
	switch {
	case m.Change == wsk.LeaveGroup, m.Change == wsk.LeaveSource && sources == 0: // the last source takes the membership along
		g.forget(share, key)
	case known || begins:
		if g.joined == nil {
			g.joined = make(map[groupKey]int)
		}
		g.joined[key] = sources
	}
	return status, ipc.ReasonNone
}

// leave ends the memberships that do not stay. mu is held.
func (g *groups) leave(ep wsk.ReceivingEndpoint, share *quota.Share, stays func(groupKey) bool) {
	for key := range g.joined {
		if !stays(key) {
			ep.Change(wsk.Membership{Change: wsk.LeaveGroup, Group: key.group, IfIndex: key.index})
			g.forget(share, key)
		}
	}
}

// forget takes a membership that is over out of the account. mu is held.
func (g *groups) forget(share *quota.Share, key groupKey) {
	if _, ok := g.joined[key]; ok {
		delete(g.joined, key)
		share.GiveMembership(1)
	}
}

// find is an interface on which a group is joined, or 0. mu is held.
func (g *groups) find(group [16]byte) (index uint32) {
	for key := range g.joined {
		if key.group == group && (index == 0 || key.index < index) {
			index = key.index
		}
	}
	return index
}

// clear forgets all, with the socket, and answers how many there were.
func (g *groups) clear() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.joined)
	g.joined = nil
	return n
}
