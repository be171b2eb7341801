// SPDX-License-Identifier: Apache-2.0

package send

import "github.com/wsk-xdp/wsk-xdp/wsk"

// handover is an operation whose way is known.
type handover struct {
	op   *wsk.SendOp
	flow *Flow
	path *Path
}

// batchSize is how many operations are handed to a queue under one hold of its lock.
const batchSize = 64

// SendBatch is [Source.Send] for each operation in turn. Those in a row that leave through one queue are built under one hold
// of its lock and kicked for once. When it hands over the last operation, the source may end before it returns.
func (s *Source) SendBatch(list []*wsk.SendOp) {
	var run [batchSize]handover
	n := 0
	flush := func() {
		if n != 0 {
			handOver(run[0].path.queue, run[:n])
			n = 0
		}
	}
	for _, op := range list {
		f, p, status := s.flows.way(s, op)
		if status != wsk.STATUS_SUCCESS {
			flush()
			if status != wsk.STATUS_PENDING { // else it waits already, and ends there
				s.Host.Finish(op, status)
			}
			continue
		}
		if p == nil {
			p = f.path.Load()
			if p == nil || p.queue == nil || f.waiters.Load() != 0 || !s.Host.stands(p) {
				flush() // the order of the calls is kept
				f.send(op)
				continue
			}
		}
		if n == batchSize || n != 0 && run[0].path.queue != p.queue {
			flush()
		}
		if !f.used.Load() {
			f.used.Store(true)
		}
		run[n] = handover{op, f, p}
		n++
	}
	flush()
}

// handOver gives a queue operations that leave together: what can go now is built, published and kicked for at once, in
// either gear, and the rest waits in order. What belongs to a flow that has left the queue meanwhile waits in that.
func handOver(q *Queue, run []handover) {
	left := 0
	q.mu.Lock()
	for i := range run {
		h := &run[i]
		if !h.flow.leads(h.path, q) {
			run[left] = *h
			left++
			continue
		}
		h.op.Transport.Via = h.flow
		if q.state != queueUp || q.waiting.Head != nil || !q.tx.build(h.op, &h.path.layout) {
			q.park(h.op)
		}
	}
	q.mu.Unlock()
	q.drive()
	for i := range left {
		run[i].flow.enqueue(run[i].op)
	}
}
