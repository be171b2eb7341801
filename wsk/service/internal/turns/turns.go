// SPDX-License-Identifier: Apache-2.0

// Package turns shares one resource, a transmit queue, between users by deficit round robin: in each round a user may
// hand over a quantum of frames, his members (sockets) in turn; what a large datagram takes beyond that he owes in the
// rounds after it. A user who wants less than his share leaves the rest to the others.
package turns

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Quantum is how many frames a user of weight 1 may hand over in a round.
const Quantum = 64

// A Hander is what a member does when it is its turn: it hands over datagrams of at most frames frames together, the
// last one may exceed that, and answers how many frames it was and whether there is more that could go at once. It runs
// with no lock held, one member of a Pump at a time.
type Hander interface {
	Hand(frames int) (used int, more bool)
}

// Pump is the order in which users come to one queue. The zero value is ready.
type Pump struct {
	// Go runs a function on a goroutine of its own. It is set before the first use.
	Go func(func())

	running sync.Mutex  // whoever has it makes the rounds for all
	again   atomic.Bool // a note: there is more to do
	rounds  atomic.Uint64

	mu    sync.Mutex
	users []*User // that have members waiting, in their order
}

// User is a user of one Pump.
type User struct {
	pump   *Pump
	weight int

	// Guarded by the pump's mu.
	deficit int
	listed  bool
	members []*Member // waiting, in their order
}

// Member is one of the sockets of a user.
type Member struct {
	pump   *Pump
	hander Hander

	// Guarded by the pump's mu.
	user    *User
	waiting bool
}

// NewUser adds a user whose share is weight times that of another.
func (p *Pump) NewUser(weight int) *User { return &User{pump: p, weight: max(weight, 1)} }

// NewMember adds a member.
func (u *User) NewMember(h Hander) *Member { return &Member{pump: u.pump, hander: h, user: u} }

// SetWeight changes the share of the user.
func (u *User) SetWeight(weight int) {
	u.pump.mu.Lock()
	u.weight = max(weight, 1)
	u.pump.mu.Unlock()
}

// Ready says that the member has something to hand over. Somebody has to run the pump after it.
func (m *Member) Ready() {
	p := m.pump
	p.mu.Lock()
	p.readyLocked(m)
	p.mu.Unlock()
}

// MoveTo makes it a member of another user of its pump, where it waits if it did.
func (m *Member) MoveTo(u *User) {
	p := m.pump
	p.mu.Lock()
	defer p.mu.Unlock()
	from := m.user
	m.user = u
	if from == u || !m.waiting {
		return
	}
	from.members = slices.DeleteFunc(from.members, func(o *Member) bool { return o == m })
	m.waiting = false
	p.readyLocked(m)
}

func (p *Pump) readyLocked(m *Member) {
	if m.waiting {
		return
	}
	m.waiting = true
	u := m.user
	u.members = append(u.members, m)
	if !u.listed {
		u.listed = true
		u.deficit = min(u.deficit, 0) // nobody saves up while he has nothing to send
		p.users = append(p.users, u)
	}
}

// roundsHere is how many rounds a caller of Run makes for everybody before another goroutine goes on.
const roundsHere = 16

// Run makes rounds until nobody has anything to hand over: this goroutine, or the one that is at it already. After some
// rounds it leaves the rest to a goroutine of its own, so that a caller is not kept by all others. After each round behind
// which there is more to do it calls between.
func (p *Pump) Run(between func()) {
	if p.run(roundsHere, between) {
		p.Go(p.drain)
	}
}

// Wake is Run for a caller that must not be kept at all, or that may be inside a round.
func (p *Pump) Wake() {
	p.again.Store(true)
	if p.running.TryLock() { // else whoever has it sees the note
		p.running.Unlock()
		p.Go(p.drain)
	}
}

func (p *Pump) drain() {
	for p.run(1<<10, func() {}) {
	}
}

// run reports whether there is more to do.
func (p *Pump) run(rounds int, between func()) bool {
	for {
		if !p.running.TryLock() {
			p.again.Store(true)
			if !p.running.TryLock() {
				return false
			}
		}
		p.again.Store(false)
		more := true
		for more && rounds > 0 {
			if more = p.round(); more {
				between()
			}
			rounds--
		}
		p.running.Unlock()
		if more {
			return true
		}
		if !p.again.Load() {
			return false
		}
	}
}

// Rounds is how many rounds there have been.
func (p *Pump) Rounds() uint64 { return p.rounds.Load() }

// round gives every user that waits one turn, and reports whether somebody waits after it. running is held.
func (p *Pump) round() bool {
	p.rounds.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := len(p.users); n > 0; n-- {
		u := p.users[0]
		p.users = append(p.users[:0], p.users[1:]...)
		p.turn(u)
		if len(u.members) == 0 {
			u.listed = false
			continue
		}
		p.users = append(p.users, u)
	}
	return len(p.users) > 0
}

// turn lets the members of one user hand over what he may in this round. mu is held, but not while they do.
func (p *Pump) turn(u *User) {
	quantum := Quantum * u.weight
	u.deficit = min(u.deficit+quantum, quantum)
	for u.deficit > 0 && len(u.members) > 0 {
		m := u.members[0]
		u.members = append(u.members[:0], u.members[1:]...)
		m.waiting = false
		share := min(u.deficit, Quantum)
		p.mu.Unlock()
		used, more := m.hander.Hand(share)
		p.mu.Lock()
		u.deficit -= used
		if more && used > 0 {
			p.readyLocked(m)
		}
	}
}
