// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

// Grant is what all sessions of one grant use together. A reload gives it other limits; what is used stays.
type Grant struct {
	Name string

	limits atomic.Pointer[policy.Limits]

	sessions atomic.Int64
	used     [resources]atomic.Int64 // by the shares

	mu       sync.Mutex
	rate     Bucket // frames
	bits     Bucket
	newcomer Bucket // destinations that nobody has sent to yet
	connects Bucket // sessions that begin

	Counters Counters
}

// Counters only grow.
type Counters struct {
	Sent, SentBytes         atomic.Uint64
	Received, ReceivedBytes atomic.Uint64
	// Datagrams that were not delivered: their socket's buffer was full, the policy has refused their sender, or the
	// grant's memory was used up.
	DroppedFull, DroppedPolicy, DroppedMemory atomic.Uint64
	Throttled                                 atomic.Int64 // nanoseconds
}

// NewGrant begins with nothing used.
func NewGrant(name string, limits *policy.Limits) *Grant {
	g := &Grant{Name: name}
	g.SetLimits(limits)
	return g
}

// SetLimits puts other limits in force, for what is asked for from now on.
func (g *Grant) SetLimits(l *policy.Limits) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits.Store(l)
	g.rate.Set(l.Rate, l.Burst, now)
	// A burst of datagrams may have the size of a burst: what one of 1500 bytes has in bits, for each.
	g.bits.Set(l.Bits, max(l.Burst*1500*8, 1), now)
	g.newcomer.Set(l.NewDestinations, int(max(l.NewDestinations, 1)), now)
	connects := max(l.Sessions, leastConnects) // so that all may come again at once
	g.connects.Set(uint64(connects), connects, now)
}

// leastConnects is how many sessions of a grant may begin in a second however few there may be.
const leastConnects = 50

// Limits are those in force.
func (g *Grant) Limits() *policy.Limits { return g.limits.Load() }

// resource is what there is only so much of.
type resource uint8

const (
	sockets resource = iota
	memory           // bytes
	inflight
	destinations
	memberships
	resources
)

// limit is how much of a resource the grant has.
func (g *Grant) limit(of resource) int64 {
	switch l := g.Limits(); of {
	case sockets:
		return int64(l.Sockets)
	case memory:
		return int64(l.Memory)
	case inflight:
		return int64(l.Inflight)
	case memberships:
		return int64(l.Memberships)
	default:
		return int64(l.Destinations)
	}
}

// TakeNewcomer counts a datagram to a destination that has not been reached yet, unless those come too fast.
func (g *Grant) TakeNewcomer() bool {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.newcomer.Wait(now) > 0 {
		return false
	}
	g.newcomer.Take(1)
	return true
}

// Begin counts a session, unless as many are there as there may be, or they come too fast. End ends it.
func (g *Grant) Begin() bool {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sessions.Add(1) > int64(g.Limits().Sessions) || g.connects.Wait(now) > 0 {
		g.sessions.Add(-1)
		return false
	}
	g.connects.Take(1)
	return true
}

// Adopt counts a session that a reload has moved here, whatever the limit is. End ends it.
func (g *Grant) Adopt() { g.sessions.Add(1) }

// End ends a session.
func (g *Grant) End() { g.sessions.Add(-1) }

// Usage is what a grant uses now.
type Usage struct {
	Sessions, Sockets, Inflight, Destinations, Memberships, Memory int64
}

// Usage is what is used now.
func (g *Grant) Usage() Usage {
	return Usage{
		Sessions: g.sessions.Load(), Sockets: g.used[sockets].Load(), Inflight: g.used[inflight].Load(),
		Destinations: g.used[destinations].Load(), Memberships: g.used[memberships].Load(),
		Memory: g.used[memory].Load(),
	}
}
