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

	sessions, sockets, inflight, destinations atomic.Int64
	memory                                    atomic.Int64

	mu       sync.Mutex
	rate     Bucket // frames
	bits     Bucket
	newcomer Bucket // destinations that nobody has sent to yet

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
}

// Limits are those in force.
func (g *Grant) Limits() *policy.Limits { return g.limits.Load() }

func take(used *atomic.Int64, n, limit int64) bool {
	if used.Add(n) <= limit {
		return true
	}
	used.Add(-n)
	return false
}

// TakeSocket counts a socket, unless all are in use. GiveSocket ends it.
func (g *Grant) TakeSocket() bool { return take(&g.sockets, 1, int64(g.Limits().Sockets)) }
func (g *Grant) GiveSocket()      { g.sockets.Add(-1) }

// TakeMemory counts n bytes, unless that is too much. GiveMemory ends it.
func (g *Grant) TakeMemory(n int) bool { return take(&g.memory, int64(n), int64(g.Limits().Memory)) }
func (g *Grant) GiveMemory(n int)      { g.memory.Add(-int64(n)) }

// TakeInflight counts n datagrams under way, unless that is too many. GiveInflight ends it.
func (g *Grant) TakeInflight(n int) bool {
	return take(&g.inflight, int64(n), int64(g.Limits().Inflight))
}
func (g *Grant) GiveInflight(n int) { g.inflight.Add(-int64(n)) }

// TakeDestination counts a destination, unless all are in use. GiveDestination ends it.
func (g *Grant) TakeDestination() bool {
	return take(&g.destinations, 1, int64(g.Limits().Destinations))
}
func (g *Grant) GiveDestination(n int) { g.destinations.Add(-int64(n)) }

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

// Begin and End count sessions.
func (g *Grant) Begin() { g.sessions.Add(1) }
func (g *Grant) End()   { g.sessions.Add(-1) }

// Usage is what a grant uses now.
type Usage struct {
	Sessions, Sockets, Inflight, Destinations, Memory int64
}

// Usage is what is used now.
func (g *Grant) Usage() Usage {
	return Usage{
		Sessions: g.sessions.Load(), Sockets: g.sockets.Load(), Inflight: g.inflight.Load(),
		Destinations: g.destinations.Load(), Memory: g.memory.Load(),
	}
}
