// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// routineBudget bounds the completion routines that one caller runs before the rest goes to the poller: a SendTo
// must return even when each routine it runs sends again.
const routineBudget = 256

// completions is the trampoline: finished operations wait here until a goroutine that holds no lock runs their
// completion routines. At most one goroutine runs them at a time, so a routine that sends (and thereby finishes further
// operations) appends to the list and returns, and the stack does not grow. The order is that of add.
type completions struct {
	mu      lockrank.Mutex[locks.CompletionsMu]
	list    opList
	running bool
}

// add appends finished operations, whose Transport.Status holds their final status.
func (c *completions) add(done *opList) {
	if done.head == nil {
		return
	}
	c.mu.Lock()
	c.list.appendList(done)
	c.mu.Unlock()
}

// run completes what is on the list, at most budget operations, unless another goroutine (or a caller further up
// this stack) is doing so already. It reports whether some were left behind.
func (c *completions) run(budget int) (more bool) {
	c.mu.Lock()
	if c.running || c.list.head == nil {
		c.mu.Unlock()
		return false
	}
	c.running = true
	var completer wsk.Completer
	for {
		batch := c.list.take()
		c.mu.Unlock()
		for budget > 0 {
			op := batch.popFront()
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
		if batch.head != nil {
			batch.appendList(&c.list)
			c.list = batch
		}
		if c.list.head == nil || budget == 0 {
			c.running = false
			more = c.list.head != nil
			c.mu.Unlock()
			return more
		}
	}
}
