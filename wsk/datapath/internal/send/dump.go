// SPDX-License-Identifier: Apache-2.0

package send

import (
	"fmt"
	"io"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Dump writes down what a queue is at, to find out why something does not go on. It waits for no lock, and without one what it
// tells may not fit together.
func Dump(q *Queue, b io.Writer) {
	kicking, building := !q.kickMu.TryLock(), !q.mu.TryLock()
	fmt.Fprintf(b, "interface %s queue %d: %s, kickMu taken %v, mu taken %v\n", q.dev.Name(), q.id, stateNames[q.state], kicking, building)
	fmt.Fprintf(b, "  inflight %d, free %d, waiting %d, unpublished %d, withdraw %v, was down %v, closed %v, zero-copy %v\n", q.tx.inflight,
		len(q.tx.free), q.waiting.N, q.tx.unpublished, q.withdraw, q.wasDown, q.closed, q.zeroCopy)
	fmt.Fprintf(b, "  again %v, driving %v, high %v, idle %v, ended %v, tails dozing %v, done %d\n", q.again.isLeft(),
		q.driving.Load(), q.poll.high.Load(), q.poll.idle.Load(), q.poll.ended.Load(), q.tails.dozing.Load(), q.done.Waiting())
	fmt.Fprintf(b, "  ring %d to %d, %+v\n", q.tx.ring.Consumer(), q.tx.ring.Producer(), q.tx.stats)
	if building {
		return
	}
	op := func(where string, op *wsk.SendOp) {
		t, pr := &op.Transport, progressOf(op)
		fmt.Fprintf(b, "  %s: frames %d, built %v, linked %v, canceller %d, %v\n", where, pr.frames, pr.built, t.Linked, pr.canceller, t.Status)
	}
	for o := q.waiting.Head; o != nil; o = o.Transport.Next {
		op("waiting", o)
	}
	for i := range q.tx.slots {
		if s := &q.tx.slots[i]; s.op != nil {
			op(fmt.Sprintf("slot %d at %d", i, s.at), s.op)
		}
	}
	q.mu.Unlock()
	if !kicking {
		q.kickMu.Unlock()
	}
}
