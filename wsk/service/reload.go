// SPDX-License-Identifier: Apache-2.0

package service

import (
	"maps"
	"slices"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// revokedAfter is how long a client stays whom the policy does not grant anything any more.
const revokedAfter = time.Second

// PolicyChanged puts a policy in force for the clients that are there, after it was reloaded: limits count at once, but
// take nothing away that is in use; a session without a grant is told, and ends after a second; a socket whose address
// is not granted any more is dead; and each destination is decided about anew before anything else leaves for it.
func (s *Server) PolicyChanged() {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.grants.adopt(s.config.Policy.Load())
	s.mu.Lock()
	list := slices.Collect(maps.Keys(s.sessions))
	s.mu.Unlock()
	for _, n := range list {
		n.regrant()
	}
	if s.config.Recheck != nil {
		s.config.Recheck()
	}
}

// regrant finds the grant of a session in the policy that is in force now.
func (n *session) regrant() {
	n.regranting.Lock()
	defer n.regranting.Unlock()
	if n.left {
		return
	}
	g, reason := n.server.match(n.who)
	if reason != ipc.ReasonNone {
		n.log.Load().Warn("the policy does not grant this client anything any more", "reason", reason)
		n.revoke()
		return
	}
	old := n.granted.Swap(g)
	if old.quota != g.quota {
		g.quota.Begin()
		old.quota.End()
	}
	n.mu.Lock()
	sockets := slices.Collect(maps.Values(n.sockets))
	n.mu.Unlock()
	for _, k := range sockets {
		k.regrant(g)
	}
}

// revoke tells the client to go and sends it away after a while. Until then nothing of what it asks for is granted.
func (n *session) revoke() {
	if n.revoked.Swap(true) {
		return
	}
	n.notify(0, ipc.TypeGoodbye, &ipc.Goodbye{After: revokedAfter})
	n.server.goRun(func() {
		late := time.NewTimer(revokedAfter)
		defer late.Stop()
		select {
		case <-late.C:
			n.end(ipc.ReasonRevoked, ipc.ReasonRevoked.Sentence())
		case <-n.over:
		}
	})
}

// regrant ends a socket whose address the grant does not have.
func (k *socket) regrant(g *granted) {
	n := k.session
	n.server.users.turnsAt(n.user, k.pump, g.grant.Limits.Weight)
	k.mu.Lock()
	local, open := k.local, k.state == isOpen
	k.mu.Unlock()
	if !open {
		return
	}
	a := wireAddress(local)
	m := ipc.Open{Family: k.family, Flags: k.flags, Local: a}
	if n.mayBind(g, &m) == ipc.ReasonNone {
		return
	}
	reason := ipc.ReasonRevoked
	k.mu.Lock()
	open = k.state == isOpen
	if open {
		k.aborting++
	}
	k.mu.Unlock()
	if !open {
		return
	}
	n.notify(k.id, ipc.TypeDead, &ipc.Failure{Reason: reason, Text: reason.Sentence()})
	k.revoked.Store(true)
	k.abort()
	k.mu.Lock()
	k.aborting--
	k.mu.Unlock()
	k.settle()
}
