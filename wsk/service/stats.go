// SPDX-License-Identifier: Apache-2.0

package service

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/quota"
)

// stats are what the server counts that no grant does.
type stats struct {
	full atomic.Uint64 // clients that did not read

	mu         sync.Mutex
	refusals   map[ipc.Reason]uint64 // of connections
	violations map[Rule]uint64
	denials    map[Denial]uint64
	logged     map[logKey]time.Time
	lines      map[string]*quota.Bucket // of refusals, by listener
}

// Rule is a rule of the protocol that clients have broken.
type Rule struct {
	Reason ipc.Reason
	Text   string
}

// Denial is what has been refused to the clients of a grant.
type Denial struct {
	Grant  string
	Reason ipc.Reason
}

type logKey struct {
	who    any
	reason ipc.Reason
}

func (s *stats) refused(reason ipc.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusals == nil {
		s.refusals = make(map[ipc.Reason]uint64)
	}
	s.refusals[reason]++
}

func (s *stats) violated(v *ipc.Violation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.violations == nil {
		s.violations = make(map[Rule]uint64)
	}
	s.violations[Rule{v.Reason, v.Rule}]++
}

func (s *stats) denied(grant string, reason ipc.Reason, n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.denials == nil {
		s.denials = make(map[Denial]uint64)
	}
	s.denials[Denial{grant, reason}] += n
}

// maxLogged bounds what is remembered of lines that were written.
const maxLogged = 1024

// mayLog says whether a refusal is to be written down: once a second for each who and reason.
func (s *stats) mayLog(who any, reason ipc.Reason) bool {
	now := time.Now()
	key := logKey{who, reason}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.logged[key]) < time.Second {
		return false
	}
	if s.logged == nil || len(s.logged) >= maxLogged {
		s.logged = make(map[logKey]time.Time)
	}
	s.logged[key] = now
	return true
}

// linesASecond bounds those about the clients of one listener who get no session: some can be any user, and each would
// have a line.
const linesASecond = 16

// mayLogClient is mayLog for a client that gets no session.
func (s *stats) mayLogClient(who userKey, reason ipc.Reason) bool {
	if !s.mayLog(who, reason) {
		return false
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.lines[who.listener]
	if b == nil {
		if s.lines == nil {
			s.lines = make(map[string]*quota.Bucket)
		}
		b = new(quota.Bucket)
		b.Set(linesASecond, linesASecond, now)
		s.lines[who.listener] = b
	}
	if b.Wait(now) > 0 {
		return false
	}
	b.Take(1)
	return true
}

// Statistics are what a server has done and has at the moment.
type Statistics struct {
	Sessions   int
	Grants     []GrantStatistics // by name
	Refusals   map[ipc.Reason]uint64
	Violations map[Rule]uint64
	Denials    map[Denial]uint64
	Unread     uint64 // clients that were disconnected because they did not read
	Rounds     []uint64
}

// GrantStatistics are those of the sessions of a grant together.
type GrantStatistics struct {
	Name string
	quota.Usage
	Sent, SentBytes, Received, ReceivedBytes uint64
	// Datagrams that were not delivered: their socket's buffer was full, the policy has refused their sender, or the
	// grant's memory was used up.
	DroppedFull, DroppedPolicy, DroppedMemory uint64
	Throttled                                 time.Duration
}

// Statistics are read one after the other, so that sums may differ by what happened meanwhile.
func (s *Server) Statistics() Statistics {
	out := Statistics{Unread: s.stats.full.Load()}
	s.mu.Lock()
	out.Sessions = len(s.sessions)
	s.mu.Unlock()
	for _, g := range s.grants.list() {
		c := &g.Counters
		out.Grants = append(out.Grants, GrantStatistics{
			Name: g.Name, Usage: g.Usage(), Sent: c.Sent.Load(), SentBytes: c.SentBytes.Load(), Received: c.Received.Load(),
			ReceivedBytes: c.ReceivedBytes.Load(), DroppedFull: c.DroppedFull.Load(), DroppedPolicy: c.DroppedPolicy.Load(),
			DroppedMemory: c.DroppedMemory.Load(), Throttled: time.Duration(c.Throttled.Load()),
		})
	}
	slices.SortFunc(out.Grants, func(a, b GrantStatistics) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range s.pumps {
		out.Rounds = append(out.Rounds, p.Rounds())
	}
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	out.Refusals, out.Violations, out.Denials = maps.Clone(s.stats.refusals), maps.Clone(s.stats.violations), maps.Clone(s.stats.denials)
	return out
}

// addressesChanged tells every client. With the addresses an interface may have gone, and the memberships on it.
func (s *Server) addressesChanged() {
	s.mu.Lock()
	list := slices.Collect(maps.Keys(s.sessions))
	if !s.draining { // not on the goroutine that learns of the addresses
		s.goRun(func() {
			for _, n := range list {
				n.leaveGone()
			}
		})
	}
	s.mu.Unlock()
	for _, n := range list {
		n.tellAddresses()
	}
}

// leaveGone is that of all sockets.
func (n *session) leaveGone() {
	n.mu.Lock()
	sockets := slices.Collect(maps.Values(n.sockets))
	n.mu.Unlock()
	for _, k := range sockets {
		k.leaveGone()
	}
}
