// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// dice is a source of random numbers for many goroutines.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

// n is a number from 0 to n-1.
func (d *dice) n(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

// chaos is a transport that does with an operation whatever the contract of wsk.Endpoint allows, and complains when the
// socket breaks its own part of the contract.
type chaos struct {
	t    *testing.T
	dice *dice

	mu        sync.Mutex
	work      sync.Cond // of mu: something is taken, or stop
	stop      bool
	taken     []*wsk.SendOp // those that wait are Linked
	endpoints []*chaosEndpoint
	opened    int
	sent      int
	arrived   int
	deaths    int
	lent      int
	addresses byte
	changed   map[int]func()
	watches   int
}

func newChaos(t *testing.T, d *dice) *chaos {
	c := &chaos{t: t, dice: d, changed: map[int]func(){}}
	c.work.L = &c.mu
	return c
}

// chaosEndpoint is guarded by the mutex of its transport.
type chaosEndpoint struct {
	c         *chaos
	events    wsk.EndpointEvents
	bound     bool
	aborted   bool
	closed    bool
	pending   int // operations that have not been completed
	calls     int // other calls in progress
	receiving int
	dead      bool
	done      func()
}

func (c *chaos) OpenEndpoint(_ uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	refused := c.dice.n(16) == 0
	e := &chaosEndpoint{c: c, events: events}
	c.mu.Lock()
	defer c.mu.Unlock()
	if refused && c.opened > 0 { // a daemon needs the first
		return nil, wsk.STATUS_INSUFFICIENT_RESOURCES
	}
	c.opened++
	c.endpoints = append(c.endpoints, e)
	return e, wsk.STATUS_SUCCESS
}

// enter counts a call that must not come after Close.
func (e *chaosEndpoint) enter(what string) (leave func()) {
	e.c.mu.Lock()
	defer e.c.mu.Unlock()
	if e.closed {
		e.c.t.Errorf("%s after Close", what)
	}
	e.calls++
	return func() {
		e.c.mu.Lock()
		defer e.c.mu.Unlock()
		e.calls--
	}
}

func (e *chaosEndpoint) Bind(req wsk.BindRequest, done func(netip.AddrPort, wsk.NTSTATUS)) {
	defer e.enter("Bind")()
	finish := func() {
		if e.c.dice.n(8) == 0 {
			done(netip.AddrPort{}, wsk.STATUS_ADDRESS_ALREADY_EXISTS)
			return
		}
		e.c.mu.Lock()
		e.bound = true
		e.c.mu.Unlock()
		done(netip.AddrPortFrom(req.Local.Addr(), 1000), wsk.STATUS_SUCCESS)
	}
	if e.c.dice.n(2) == 0 {
		finish()
	} else {
		go finish()
	}
}

func (e *chaosEndpoint) MTU(*wsk.Destination) (int, wsk.NTSTATUS) {
	defer e.enter("MTU")()
	return 1500, wsk.STATUS_SUCCESS
}

func (e *chaosEndpoint) Configure(wsk.ReceiveOptions) { e.enter("Configure")() }

func (e *chaosEndpoint) Change(wsk.Membership) wsk.NTSTATUS {
	defer e.enter("Change")()
	return wsk.STATUS_NOT_FOUND
}

func (e *chaosEndpoint) Send(op *wsk.SendOp) {
	c := e.c
	choice := c.dice.n(8)
	c.mu.Lock()
	if e.closed {
		c.t.Error("Send after Close")
	}
	e.pending++
	c.sent++
	op.Transport.Via = e
	status := wsk.STATUS_SUCCESS
	switch {
	case e.aborted:
		status = wsk.STATUS_CANCELLED
	case choice == 0: // done at once
	case choice < 5:
		if c.wait(op) {
			c.mu.Unlock()
			return
		}
		status = wsk.STATUS_CANCELLED
	default:
		c.taken = append(c.taken, op)
		c.work.Broadcast()
		c.mu.Unlock()
		return
	}
	e.pending--
	c.mu.Unlock()
	op.Complete(status)
}

// wait makes an operation wait where it can be cancelled, or reports that it has been. The mutex is held.
func (c *chaos) wait(op *wsk.SendOp) bool {
	if !op.ArmCancel(c) {
		return false
	}
	op.Transport.Linked = true
	c.taken = append(c.taken, op)
	c.work.Broadcast()
	return true
}

// take takes an operation off the list, unless a canceller has it. The mutex is held.
func (c *chaos) take(i int) *wsk.SendOp {
	op := c.taken[i]
	c.taken[i] = c.taken[len(c.taken)-1]
	c.taken = c.taken[:len(c.taken)-1]
	if op.Transport.Linked && !op.DisarmCancel() {
		return nil
	}
	return op
}

// CancelSend implements wsk.Canceller.
func (c *chaos) CancelSend(op *wsk.SendOp) {
	c.mu.Lock()
	for i, o := range c.taken {
		if o == op {
			c.taken[i] = c.taken[len(c.taken)-1]
			c.taken = c.taken[:len(c.taken)-1]
			break
		}
	}
	op.Transport.Via.(*chaosEndpoint).pending--
	c.mu.Unlock()
	op.Complete(wsk.STATUS_CANCELLED)
}

// complete is a goroutine that completes what has been taken, by a Completer, in any order, until stop.
func (c *chaos) complete() {
	type end struct {
		op     *wsk.SendOp
		status wsk.NTSTATUS
	}
	var completer wsk.Completer
	for {
		batch, flush := c.dice.n(12)+1, c.dice.n(4)
		var ends []end
		c.mu.Lock()
		for len(c.taken) == 0 && !c.stop {
			c.work.Wait()
		}
		if len(c.taken) == 0 {
			c.mu.Unlock()
			return
		}
		for range min(batch, len(c.taken)) {
			op := c.take(c.dice.n(len(c.taken)))
			if op == nil {
				continue
			}
			status := wsk.STATUS_SUCCESS
			if flush == 0 && op.Transport.Linked { // it goes on to wait somewhere else
				op.Transport.Linked = false
				if c.wait(op) {
					continue
				}
				status = wsk.STATUS_CANCELLED
			}
			op.Transport.Via.(*chaosEndpoint).pending--
			ends = append(ends, end{op, status})
		}
		c.mu.Unlock()
		for i, e := range ends {
			completer.Complete(e.op, e.status)
			if i%4 == flush {
				completer.Flush()
			}
		}
		completer.Flush()
	}
}

func (e *chaosEndpoint) Abort() {
	c := e.c
	var ends []*wsk.SendOp
	c.mu.Lock()
	if e.closed {
		c.t.Error("Abort after Close")
	}
	e.aborted = true
	for i := len(c.taken) - 1; i >= 0; i-- {
		if op := c.taken[i]; op.Transport.Via == e && op.Transport.Linked {
			if op = c.take(i); op != nil {
				e.pending--
				ends = append(ends, op)
			}
		}
	}
	c.mu.Unlock()
	for _, op := range ends {
		op.Complete(wsk.STATUS_CANCELLED)
	}
}

func (e *chaosEndpoint) Close(done func()) {
	c := e.c
	c.mu.Lock()
	if e.closed || !e.aborted || e.pending != 0 || e.calls != 0 {
		c.t.Errorf("Close: closed %v, aborted %v, %d operations pending, %d calls in progress", e.closed, e.aborted, e.pending, e.calls)
	}
	e.closed, e.done = true, done
	for i, o := range c.endpoints {
		if o == e {
			c.endpoints = append(c.endpoints[:i:i], c.endpoints[i+1:]...)
		}
	}
	done = e.over()
	c.mu.Unlock()
	switch {
	case done == nil:
	case c.dice.n(2) == 0:
		done()
	default:
		go done()
	}
}

// over takes the function that Close has to call, if nothing is being received any more. The mutex is held.
func (e *chaosEndpoint) over() (done func()) {
	if e.closed && e.receiving == 0 {
		done, e.done = e.done, nil
	}
	return done
}
