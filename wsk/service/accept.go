// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"maps"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/peer"
)

// isPassing says that accept has failed for want of something that comes back.
func isPassing(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOBUFS) ||
		errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ECONNABORTED) || errors.Is(err, unix.EINTR)
}

// KnowsUnits reports whether the systemd units of a client can be told (Linux 6.13, with all of cgroup2 mounted), for
// [policy.Host].
func KnowsUnits() bool { return peer.CanTellUnits() }

// granted is what the policy in force says of a client, and the account that goes with it.
type granted struct {
	policy *policy.Policy
	grant  *policy.Grant
	quota  *account
}

// begin starts the session of a client that has connected, or refuses it.
func (s *Server) begin(conn *net.UnixConn, listener string) {
	c, err := peer.New(conn)
	if err != nil {
		s.log.Warn("a client could not be taken", "err", err)
		return
	}
	who, err := s.identify(c, listener)
	if err != nil {
		s.log.Warn("a client could not be taken", "err", err)
		c.Close(failure(ipc.TypeError, 0, ipc.ReasonInternal, "the kernel does not say who you are"))
		return
	}
	u, ok := s.users.begin(userKey{who.UID, listener})
	if !ok {
		s.refuse(c, who, ipc.ReasonConnections)
		return
	}
	g, reason := s.match(who)
	if reason != ipc.ReasonNone {
		s.users.end(u)
		s.refuse(c, who, reason)
		return
	}
	n := newSession(s, c, who, u, g)
	if reason := s.enter(n); reason != ipc.ReasonNone {
		s.users.end(u)
		s.refuse(c, who, reason)
		return
	}
	go n.run()
}

// enter takes a session into the server, or answers why it is not taken. From then on others find it and may end it, so it
// is whole before. leave must follow.
func (s *Server) enter(n *session) ipc.Reason {
	g, who := n.granted.Load(), n.who
	n.conn.SetDeadline(time.Now().Add(ipc.HelloTimeout))
	if !g.quota.Begin() {
		return ipc.ReasonConnections
	}
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		g.quota.End()
		return ipc.ReasonDraining
	}
	s.last++
	n.number = s.last
	n.log.Store(s.log.With("session", n.number, "uid", who.UID, "gid", who.GID, "pid", who.PID, "comm", who.Comm))
	s.sessions[n] = struct{}{}
	s.work.Add(1)
	s.mu.Unlock()
	n.log.Load().Info("a client has come", "listener", who.Listener, "grant", g.grant.Name)
	if s.config.Policy.Load() != g.policy { // a reload that looked for sessions before may have missed this one
		n.regrant()
	}
	return ipc.ReasonNone
}

// match finds the grant of a client.
func (s *Server) match(who *peer.Identity) (*granted, ipc.Reason) {
	who.Err = nil
	p := s.config.Policy.Load()
	grant, rule := p.Match(&who.Identity)
	switch {
	case who.Err != nil: // it may be the [[deny]] that could not be decided
		if s.stats.mayLogClient(userKey{who.UID, who.Listener}, ipc.ReasonInternal) {
			s.log.Warn("a client could not be told from others", "uid", who.UID, "pid", who.PID, "err", who.Err)
		}
		return nil, ipc.ReasonInternal
	case grant == nil:
		s.log.Debug("no grant", "uid", who.UID, "rule", rule)
		return nil, ipc.ReasonNotGranted
	}
	return &granted{p, grant, s.grants.of(grant)}, ipc.ReasonNone
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
		g.quota.Adopt()
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

// revokedAfter is how long a client stays whom the policy does not grant anything any more.
const revokedAfter = time.Second

// refuse ends a connection that gets no session.
func (s *Server) refuse(c *peer.Conn, who *peer.Identity, reason ipc.Reason) {
	s.stats.refused(reason)
	if s.stats.mayLogClient(userKey{who.UID, who.Listener}, reason) {
		s.log.Warn("a client is refused", "uid", who.UID, "gid", who.GID, "pid", who.PID, "comm", who.Comm,
			"listener", who.Listener, "reason", reason)
	}
	c.Close(failure(ipc.TypeError, 0, reason, reason.Sentence()))
}

// failure is a whole notification that has a failure for its body.
func failure(t ipc.Type, socket uint32, reason ipc.Reason, text string) []byte {
	b := ipc.Header{Type: t, Socket: socket}.Append(nil)
	return (&ipc.Failure{Reason: reason, Text: text}).Append(b)
}

// leave takes a session that is over out of the server.
func (s *Server) leave(n *session) {
	n.regranting.Lock()
	n.left = true
	n.granted.Load().quota.End()
	n.regranting.Unlock()
	s.users.end(n.user)
	s.mu.Lock()
	delete(s.sessions, n)
	s.mu.Unlock()
	s.work.Done()
}
