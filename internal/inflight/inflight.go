// SPDX-License-Identifier: Apache-2.0

// Package inflight counts the calls that are in flight on something that will be closed, so that the end can come when
// the last of them has left and no later one touches what the end takes away. It runs on any OS.
package inflight

import (
	"sync"
	"sync/atomic"
)

// Calls counts the calls in flight on its owner. The zero value is open. A call that begins either sees that the owner
// is closed, or is seen by [Calls.Close] and holds up the last. All methods but Close are for any goroutine at any
// time; beginning and ending cost one atomic addition each, and nothing allocates.
//
// There are two counters, on cache lines of their own, because many operations end on another goroutine than they began
// on: those who begin and those who finish then write to different lines.
type Calls struct {
	// Last, if not nil, is called once: after Close, when nothing is in flight any more, on the goroutine that finds it
	// so. That may be the one that calls Close. It is set before the first call begins.
	Last func()

	closed atomic.Bool
	ended  atomic.Bool    // the last has been found
	over   sync.WaitGroup // 1 from Close until then

	_        [64]byte
	begun    atomic.Int64 // what has begun, less what ended where it began
	_        [64]byte
	finished atomic.Int64 // what ended somewhere else
	_        [64]byte
}

// Begin counts a call. It reports false when the owner is closed: then nothing is counted and nothing has to follow.
// Otherwise [Calls.End] or [Calls.Finish] must.
func (c *Calls) Begin() bool {
	c.begun.Add(1)
	if c.closed.Load() {
		c.End()
		return false
	}
	return true
}

// Add counts n calls, also when the owner is closed: for an owner that refuses late calls in a way of its own, and for
// what begins inside a call. As many ends must follow. An owner that is closed is not held up by it once the last has
// been found.
func (c *Calls) Add(n int) { c.begun.Add(int64(n)) }

// End ends one call, on the goroutine that began it or another that writes to the same counter anyway.
func (c *Calls) End() {
	c.begun.Add(-1)
	if c.closed.Load() {
		c.settle()
	}
}

// Finish ends n calls that began on other goroutines.
func (c *Calls) Finish(n int) {
	c.finished.Add(int64(n))
	if c.closed.Load() {
		c.settle()
	}
}

// Close refuses all calls from now on. It is called once at most. It does not wait; a call in flight may make it.
func (c *Calls) Close() {
	c.over.Add(1)
	c.closed.Store(true)
	c.settle()
}

// Closed reports whether Close has been called.
func (c *Calls) Closed() bool { return c.closed.Load() }

// Wait waits, after Close, until nothing is in flight any more. A call in flight that makes it waits for itself.
func (c *Calls) Wait() { c.over.Wait() }

// InFlight is the number of calls in flight, never less than those that are in flight all the while it looks.
func (c *Calls) InFlight() int {
	finished := c.finished.Load()
	return int(c.begun.Load() - finished)
}

// settle looks whether the last call has left. finished is read first and only grows. The difference is then never less
// than what is in flight when begun is read, so that 0 is true; what begins later finds the owner closed.
func (c *Calls) settle() {
	switch n := c.InFlight(); {
	case n < 0:
		panic("inflight: a call has ended that never began")
	case n == 0 && c.ended.CompareAndSwap(false, true):
		defer c.over.Done()
		if c.Last != nil {
			c.Last()
		}
	}
}
