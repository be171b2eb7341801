// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"io"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// dump writes down what a queue is at, to find out why something does not go on. It waits for no lock, and without one what it
// tells may not fit together.
func (q *queue) dump(b io.Writer) {
	kicking, building := !q.kickMu.TryLock(), !q.mu.TryLock()
	fmt.Fprintf(b, "interface %s queue %d: %s, kickMu taken %v, mu taken %v\n", q.dev.ifname(), q.id, stateNames[q.state], kicking, building)
	fmt.Fprintf(b, "  inflight %d, free %d, waiting %d, unpublished %d, withdraw %v, was down %v, out %v, zero-copy %v\n", q.inflight,
		len(q.free), q.waiting.N, q.unpublished, q.withdraw, q.wasDown, q.out, q.zeroCopy)
	fmt.Fprintf(b, "  again %v, driving %v, high %v, idle %v, ended %v, tails dozing %v, done %d running %v\n", q.again.Load(),
		q.driving.Load(), q.poll.high.Load(), q.poll.idle.Load(), q.poll.ended.Load(), q.tails.dozing.Load(), q.done.List.N, q.done.Running)
	fmt.Fprintf(b, "  ring %d to %d, %+v\n", q.tx.Consumer(), q.tx.Producer(), q.stats)
	if building {
		return
	}
	op := func(where string, op *wsk.SendOp) {
		t, pr := &op.Transport, progressOf(op)
		fmt.Fprintf(b, "  %s: frames %d, built %v, linked %v, hold %d, %v\n", where, pr.frames, pr.built, t.Linked, pr.hold, t.Status)
	}
	for o := q.waiting.Head; o != nil; o = o.Transport.Next {
		op("waiting", o)
	}
	for i := range q.slots {
		if s := &q.slots[i]; s.op != nil {
			op(fmt.Sprintf("slot %d at %d", i, s.at), s.op)
		}
	}
	q.mu.Unlock()
	if !kicking {
		q.kickMu.Unlock()
	}
}
