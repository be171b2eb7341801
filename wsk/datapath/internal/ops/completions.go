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
	List    List
	Running bool
}

// Add appends finished operations, whose Transport.Status holds their final status.
func (c *Completions) Add(done *List) {
	if done.Head == nil {
		return
	}
	c.mu.Lock()
	c.List.Append(done)
	c.mu.Unlock()
}

// Run completes what is on the list, at most budget operations, unless another goroutine (or a caller further up
// this stack) is doing so already. It reports whether some were left behind.
func (c *Completions) Run(budget int) (more bool) {
	c.mu.Lock()
	if c.Running || c.List.Head == nil {
		c.mu.Unlock()
		return false
	}
	c.Running = true
	var completer wsk.Completer
	for {
		batch := c.List.take()
		c.mu.Unlock()
		for budget > 0 {
			op := batch.PopFront()
			if op == nil {
				break
			}
			status := op.Transport.Status
			lockrank.AssertMay(locks.Routine, "a completion routine")
			completer.Complete(op, status)
			budget--
		}
		completer.Flush()
		c.mu.Lock()
		if batch.Head != nil {
			batch.Append(&c.List)
			c.List = batch
		}
		if c.List.Head == nil || budget == 0 {
			c.Running = false
			more = c.List.Head != nil
			c.mu.Unlock()
			return more
		}
	}
}
