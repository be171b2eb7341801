// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// cacheLimit bounds the route answers kept: about 1 MiB. One entry per destination in use.
const cacheLimit = 4096

// routeCache keeps the kernel's answers of one generation. An expired answer stays, to be compared with the next one:
// whoever got it may still be using it.
type routeCache struct {
	// revalidations counts those that have begun. It is read before the kernel is asked: an answer of before a revalidation
	// that is stored after it would be looked at by nobody.
	revalidations atomic.Uint64

	mu      sync.RWMutex
	gen     uint64
	answers map[question]cached
	// dropped: answers of this generation were thrown away for room, so not all that others hold are here.
	dropped bool
}

type cached struct {
	hop Hop // without Device
	at  time.Time
}

func (c *routeCache) lookup(q question, gen uint64, ttl time.Duration) (Hop, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.answers[q]
	if !ok || c.gen != gen || time.Since(e.at) >= ttl {
		return Hop{}, false
	}
	return e.hop, true
}

// store keeps an answer that was asked for in generation gen, when so many revalidations had begun. It reports whether the
// generation is over: the answer differs from one given before in it, or may be of before a revalidation.
func (c *routeCache) store(q question, hop Hop, gen, begun uint64) (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if gen < c.gen {
		return false
	}
	if c.revalidations.Load() != begun {
		return true
	}
	if gen > c.gen || c.answers == nil {
		c.gen, c.answers, c.dropped = gen, map[question]cached{}, false
	}
	old, had := c.answers[q]
	if !had && len(c.answers) >= cacheLimit {
		clear(c.answers)
		c.dropped = true
	}
	c.answers[q] = cached{hop, time.Now()}
	return had && old.hop != hop
}

// given lists the queries answered in generation gen, those for dst when it is valid. complete is false when some are
// not known any more.
func (c *routeCache) given(gen uint64, dst netip.Addr) (list map[question]Hop, complete bool) {
	// Before the list is made: what is not in it meets the new count when it is stored.
	c.revalidations.Add(1)
	c.mu.RLock()
	defer c.mu.RUnlock()
	list = map[question]Hop{}
	if c.gen != gen {
		return list, true
	}
	for q, e := range c.answers {
		if !dst.IsValid() || q.dst == dst {
			list[q] = e.hop
		}
	}
	return list, !c.dropped
}

// revalidate asks the kernel again what it was asked before, for dst or (invalid) everything, and bumps the generation
// if any answer has changed. For changes that can but need not alter a path and that the kernel doesn't announce as
// routes.
func (t *Table) revalidate(dst netip.Addr, r *requester) {
	gen := t.gen.Load()
	list, complete := t.cache.given(gen, dst)
	begun := t.cache.revalidations.Load()
	if !complete {
		t.gen.Add(1)
		return
	}
	for q, before := range list {
		if t.opts.asBefore != nil && t.opts.asBefore() {
			continue
		}
		now, err := t.ask(q, r)
		if err != nil || now != before {
			t.gen.Add(1)
			return
		}
		t.cache.store(q, now, gen, begun) // not over: whoever revalidates now has this one on its list too
	}
}

// lookAgain revalidates what may have been answered too early (see settler).
func (t *Table) lookAgain() {
	before := t.gen.Load()
	t.revalidate(netip.Addr{}, t.dumper)
	if t.gen.Load() != before {
		t.subs.deliver([]Event{{Kind: PathsChanged}})
	}
}
