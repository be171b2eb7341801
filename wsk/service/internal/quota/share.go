// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"sync"
	"sync/atomic"
)

// Share is what one socket uses of a grant. A reload may move it to another one, with all that it uses.
type Share struct {
	grant atomic.Pointer[Grant]

	mu   sync.Mutex // so that what is used is given back to the grant that has it
	used [resources]int64
}

// NewShare is a share that uses nothing.
func (g *Grant) NewShare() *Share {
	s := new(Share)
	s.grant.Store(g)
	return s
}

// Grant is the grant that it is a share of now.
func (s *Share) Grant() *Grant { return s.grant.Load() }

// Move makes it a share of another grant. What is in use goes along, whatever the limits are there.
func (s *Share) Move(to *Grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.grant.Load()
	if from == to {
		return
	}
	for i := range s.used {
		n := s.used[i]
		to.used[i].Add(n)
		from.used[i].Add(-n)
	}
	s.grant.Store(to)
}

func (s *Share) take(what resource, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.grant.Load()
	if used := &g.used[what]; used.Add(int64(n)) > g.limit(what) {
		used.Add(-int64(n))
		return false
	}
	s.used[what] += int64(n)
	return true
}

func (s *Share) give(what resource, n int) {
	s.mu.Lock()
	s.grant.Load().used[what].Add(-int64(n))
	s.used[what] -= int64(n)
	s.mu.Unlock()
}

// TakeSocket counts a socket, unless all are in use. GiveSocket ends it.
func (s *Share) TakeSocket() bool { return s.take(sockets, 1) }
func (s *Share) GiveSocket()      { s.give(sockets, 1) }

// TakeMemory counts n bytes, unless that is too much. GiveMemory ends it.
func (s *Share) TakeMemory(n int) bool { return s.take(memory, n) }
func (s *Share) GiveMemory(n int)      { s.give(memory, n) }

// TakeInflight counts n datagrams under way, unless that is too many. GiveInflight ends it.
func (s *Share) TakeInflight(n int) bool { return s.take(inflight, n) }
func (s *Share) GiveInflight(n int)      { s.give(inflight, n) }

// TakeDestination counts a destination, unless all are in use. GiveDestination ends it.
func (s *Share) TakeDestination() bool { return s.take(destinations, 1) }
func (s *Share) GiveDestination(n int) { s.give(destinations, n) }

// TakeMembership counts a group that is joined, unless too many are. GiveMembership ends it.
func (s *Share) TakeMembership() bool { return s.take(memberships, 1) }
func (s *Share) GiveMembership(n int) { s.give(memberships, n) }
