// SPDX-License-Identifier: Apache-2.0

package send

import (
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
)

// holding is whether what waits in a flow, and what comes, may have to wait for long: the search for its way is parked. The flow's mu
// guards it.
type holding struct {
	on      bool
	turn    int // counts the turns of searches
	longest int // payload that the way takes, as far as it is known; 0: any
}

// begin begins a turn of a search, in which it waits for nobody.
func (h *holding) begin() (turn int) {
	h.turn++
	h.on = false
	return h.turn
}

// hold is called when a search is parked, and does nothing when it has had another turn since the one that ended so. What the way
// would refuse when it is found leaves waiting, and goes to refused unless it is being cancelled; taken counts it.
func (h *holding) hold(turn, longest int, waiting, refused *ops.List) (taken int32) {
	if h.turn != turn {
		return 0
	}
	h.on, h.longest = true, longest
	for op := waiting.Head; op != nil; {
		next := op.Transport.Next
		if !h.takes(op) {
			waiting.Remove(op)
			taken++
			if op.DisarmCancel() {
				op.Transport.Status = wsk.STATUS_INVALID_BUFFER_SIZE
				refused.PushBack(op)
			}
		}
		op = next
	}
	return taken
}

// takes reports whether the way takes an operation. Of one that comes to wait it says so.
func (h *holding) takes(op *wsk.SendOp) bool {
	if !h.on {
		return true
	}
	for i := range op.Bufs {
		n := int(op.Bufs[i].Length)
		if op.Segment != 0 {
			n = min(n, int(op.Segment))
		}
		if h.longest != 0 && n > h.longest {
			return false
		}
	}
	op.SetProgress(wsk.SendHeld)
	return true
}

// longestPayload is what a packet takes by a way that refuses fragments; 0: anything.
func longestPayload(refuse bool, mtu int, is4 bool) int {
	switch {
	case !refuse:
		return 0
	case is4:
		return mtu - frame.IPv4Len - frame.UDPLen
	}
	return mtu - frame.IPv6Len - frame.UDPLen
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
