// SPDX-License-Identifier: Apache-2.0

package send

import (
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
)

// When the way of a flow comes to lead through another queue, what waits in the old one, whose link may stay down for
// ever, leaves by the new way. The flow takes it back, ahead of what has come to it meanwhile, so that order is kept. What
// lies in the ring of a link that is down goes back to the waiting list first, by way of a new socket.

// recall takes back what waits in a queue that the flow does not lead through any more. What is begun stays, and ends there.
// No lock is held, and the flow is being resolved, or will be.
func (f *Flow) recall(q *Queue) {
	f.clearRing(q)
	var back ops.List
	q.mu.Lock()
	f.mu.Lock()
	for op := q.waiting.Head; op != nil; {
		next := op.Transport.Next
		if pr := progressOf(op); op.Transport.Via == f && pr.frames == 0 && pr.buf == 0 && pr.piece == 0 {
			q.waiting.Remove(op)
			switch {
			case !op.DisarmCancel():
				pr.canceller = cancellerComing
			case !mayWait(op, f):
				q.abandon(op, wsk.STATUS_CANCELLED)
			default:
				back.PushBack(op)
			}
		}
		op = next
	}
	f.waiters.Add(int32(back.N))
	back.Append(&f.waiting)
	f.waiting = back
	f.mu.Unlock()
	q.mu.Unlock()
	q.complete()
}

// clearRing has a queue whose link is down put on its waiting list again what of the flow lies in its ring.
func (f *Flow) clearRing(q *Queue) {
	q.kickMu.Lock()
	posted := false
	q.mu.Lock()
	if q.state == queueDown {
		q.tx.eachPosted(func(op *wsk.SendOp) { posted = posted || op.Transport.Via == f })
	}
	q.mu.Unlock()
	if posted {
		q.breakDown("datagrams that wait for the link have another way", wsk.STATUS_IO_TIMEOUT)
	}
	q.unlockKick()
}

// follow is called when a flow has found its way, before it is taken: what waits in the queue that it led through before
// comes with it. Only the resolver of the flow calls it.
func (f *Flow) follow(q *Queue) {
	if f.left != nil && f.left != q {
		f.recall(f.left)
	}
	f.left = q
}

// reroute looks whether the routes have changed for what a queue can't send, and has it leave by another way. No lock is
// held.
func (p *poller) reroute() {
	q := p.q
	generation := q.host.Routes.Generation()
	flows := make(map[*Flow]bool) // whether they lead through another queue
	look := func(op *wsk.SendOp) {
		f := op.Transport.Via.(*Flow)
		path := f.path.Load()
		if path == nil || path.queue != q || path.generation != generation {
			flows[f] = path != nil && path.queue != q
		}
	}
	q.mu.Lock()
	for op := q.waiting.Head; op != nil; op = op.Transport.Next {
		look(op)
	}
	if q.state == queueDown {
		q.tx.eachPosted(look)
	}
	q.mu.Unlock()
	for f, elsewhere := range flows {
		if elsewhere {
			f.recall(q)
		}
		f.prefetch()
	}
}
