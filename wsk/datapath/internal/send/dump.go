// SPDX-License-Identifier: Apache-2.0

package send

import (
	"fmt"
	"io"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Dump writes down what a queue is at, to find out why something does not go on. It waits for no lock, and without one what it
// tells may not fit together.
func (q *Queue) Dump(b io.Writer) {
	kicking, building := !q.KickMu.TryLock(), !q.Mu.TryLock()
	fmt.Fprintf(b, "interface %s queue %d: %s, kickMu taken %v, mu taken %v\n", q.Dev.Name(), q.Id, stateNames[q.State], kicking, building)
	fmt.Fprintf(b, "  inflight %d, free %d, waiting %d, unpublished %d, withdraw %v, was down %v, out %v, zero-copy %v\n", q.Inflight,
		len(q.Free), q.Waiting.N, q.unpublished, q.withdraw, q.wasDown, q.Out, q.zeroCopy)
	fmt.Fprintf(b, "  again %v, driving %v, high %v, idle %v, ended %v, tails dozing %v, done %d running %v\n", q.again.Load(),
		q.driving.Load(), q.Poll.High.Load(), q.Poll.Idle.Load(), q.Poll.Ended.Load(), q.tails.Dozing.Load(), q.done.List.N, q.done.Running)
	fmt.Fprintf(b, "  ring %d to %d, %+v\n", q.Tx.Consumer(), q.Tx.Producer(), q.stats)
	if building {
		return
	}
	op := func(where string, op *wsk.SendOp) {
		t, pr := &op.Transport, progressOf(op)
		fmt.Fprintf(b, "  %s: frames %d, built %v, linked %v, hold %d, %v\n", where, pr.frames, pr.built, t.Linked, pr.hold, t.Status)
	}
	for o := q.Waiting.Head; o != nil; o = o.Transport.Next {
		op("waiting", o)
	}
	for i := range q.Slots {
		if s := &q.Slots[i]; s.Op != nil {
			op(fmt.Sprintf("slot %d at %d", i, s.at), s.Op)
		}
	}
	q.Mu.Unlock()
	if !kicking {
		q.KickMu.Unlock()
	}
}
