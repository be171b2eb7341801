// SPDX-License-Identifier: Apache-2.0

package send

import (
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
)

// holding is whether what waits in a flow, and what comes, may have to wait for long: the search for its way is parked. The flow's mu
// guards it.
type holding struct {
	on   bool
	turn int // counts the turns of searches
}

// begin begins a turn of a search, in which it waits for nobody.
func (h *holding) begin() (turn int) {
	h.turn++
	h.on = false
	return h.turn
}

// hold is called when a search is parked, and does nothing when it has had another turn since the one that ended so.
func (h *holding) hold(turn int, waiting *ops.List) {
	if h.turn != turn {
		return
	}
	h.on = true
	for op := waiting.Head; op != nil; op = op.Transport.Next {
		op.SetProgress(wsk.SendHeld)
	}
}

// tell tells an operation that comes to wait.
func (h *holding) tell(op *wsk.SendOp) {
	if h.on {
		op.SetProgress(wsk.SendHeld)
	}
}

// parked tells an operation that has come to wait in a queue, whose link may be down.
func parked(op *wsk.SendOp, down bool) {
	if down {
		op.SetProgress(wsk.SendHeld)
	} else {
		op.SetProgress(wsk.SendAccepted)
	}
}

// ending gives an operation the status that it is going to complete with, as soon as nothing of it is on its way, unless it has one.
func ending(op *wsk.SendOp, status wsk.NTSTATUS) {
	if op.Transport.Status == wsk.STATUS_SUCCESS {
		op.Transport.Status = status
	}
	op.SetProgress(wsk.SendSought)
}
