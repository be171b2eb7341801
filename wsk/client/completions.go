// SPDX-License-Identifier: Apache-2.0

package client

import (
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// completions are what has ended and whom to tell, in this order. One goroutine of the session does so, and nobody else:
// no routine runs on the stack of a call. The session's mutex guards the list.
type completions struct {
	list []event
	idle bool
	wake chan struct{}
	// refused is called for operations that have a reason, before they complete.
	refused func(Refusal)
	users   int // the session, and its endpoints: while there are any, more may come
}

// event is an operation that has ended, or a call.
type event struct {
	op *wsk.SendOp
	f  func()
}

func (c *completions) add(e event) {
	c.list = append(c.list, e)
	c.signal()
}

func (c *completions) signal() {
	if c.idle {
		c.idle = false
		c.wake <- struct{}{} // has room: the goroutine sleeps
	}
}

func (c *completions) end(op *wsk.SendOp, status wsk.NTSTATUS) {
	op.Transport.Status = status
	c.add(event{op: op})
}

func (c *completions) call(f func()) { c.add(event{f: f}) }

// leave says that one user is no more.
func (c *completions) leave() {
	c.users--
	c.signal()
}

// complete runs the routines of a batch. The mutex is not held.
func (c *completions) complete(batch []event) {
	var completer wsk.Completer
	for _, e := range batch {
		if e.op == nil {
			completer.Flush()
			e.f()
			continue
		}
		status := e.op.Transport.Status
		if reason := ipc.Reason(e.op.Transport.Room[roomReason]); reason != ipc.ReasonNone {
			c.refused(ofDatagram(e.op, reason, status))
		}
		completer.Complete(e.op, status)
	}
	completer.Flush()
}
