// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// RoutineBudget bounds the completion routines that one caller runs before the rest goes to the poller: a SendTo
// must return even when each routine it runs sends again.
const RoutineBudget = 256

// Completions is the trampoline: finished operations wait here until a goroutine that holds no lock runs their
// completion routines. At most one goroutine runs them at a time, so a routine that sends (and thereby finishes further
// operations) appends to the list and returns, and the stack does not grow. The order is that of add.
type Completions struct {
	mu      lockrank.Mutex[locks.CompletionsMu]
	list    List
	running bool

	// Left, if set, is called when a completion routine has panicked and operations are left behind: whoever called Run does
	// not come to look after them. It is set before the first Run.
	Left func()
}

// Add appends finished operations, whose Transport.Status holds their final status.
func (c *Completions) Add(done *List) {
	if done.Head == nil {
		return
	}
	c.mu.Lock()
	c.list.Append(done)
	c.mu.Unlock()
}

// Waiting is the number of operations that wait for their completion routines, for a dump.
func (c *Completions) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list.N
}

// Run completes what is on the list, at most budget operations, unless another goroutine (or a caller further up
// this stack) is doing so already. It reports whether some were left behind. A routine's panic goes through it, and
// leaves the others to the next run.
func (c *Completions) Run(budget int) (more bool) {
	c.mu.Lock()
	if c.running || c.list.Head == nil {
		c.mu.Unlock()
		return false
	}
	c.running = true
	r := run{c: c}
	defer r.leave()
	for {
		r.batch = c.list.take()
		c.mu.Unlock()
		for budget > 0 {
			op := r.batch.PopFront()
			if op == nil {
				break
			}
			status := op.Transport.Status
			lockrank.AssertMay(locks.Routine, "a completion routine")
			r.completer.Complete(op, status)
			budget--
		}
		r.completer.Flush()
		c.mu.Lock()
		if r.batch.Head != nil {
			r.batch.Append(&c.list)
			c.list = r.batch
		}
		if c.list.Head == nil || budget == 0 {
			c.running, r.over = false, true
			more = c.list.Head != nil
			c.mu.Unlock()
			return more
		}
	}
}

// Drain completes all that there is.
func (c *Completions) Drain() {
	for c.Run(RoutineBudget) {
	}
}

// A run is one Run under way.
type run struct {
	c         *Completions
	completer wsk.Completer
	batch     List // taken off the list and not yet completed
	over      bool
}

// leave puts back what a panic has left. It is nothing for a run that is over.
func (r *run) leave() {
	if r.over {
		return
	}
	c := r.c
	r.completer.Panicked()
	r.completer.Flush()
	c.mu.Lock()
	r.batch.Append(&c.list)
	c.list, c.running = r.batch, false
	more := c.list.Head != nil
	c.mu.Unlock()
	if more && c.Left != nil {
		c.Left()
	}
}
