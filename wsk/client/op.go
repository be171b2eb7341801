// SPDX-License-Identifier: Apache-2.0

package client

import (
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// What is in SendState.Room.
const (
	roomBuf     = iota // the next buffer to hand over
	roomOffset         // within it
	roomUnder          // entries that are under way
	roomEnding         // a bit set of those below
	roomReason         // of the first failure
	roomFailure        // its status, 0 for none
)

// Bits of roomEnding.
const (
	endedInDaemon = 1 << iota // nothing is under way any more: it is its canceller that ends it
	cancelSeen                // its canceller has been here
)

// fail sets how an operation ends. The first failure counts.
func fail(op *wsk.SendOp, status wsk.NTSTATUS, reason ipc.Reason) {
	if op.Transport.Room[roomFailure] == 0 {
		op.Transport.Room[roomFailure], op.Transport.Room[roomReason] = uint64(status), uint64(reason)
	}
}

func outcome(op *wsk.SendOp) wsk.NTSTATUS { return wsk.NTSTATUS(op.Transport.Room[roomFailure]) }

// entryOf is an entry without a payload.
func entryOf(to *wsk.Destination) ipc.Entry {
	return ipc.Entry{
		Port: to.Port, Addr: to.Addr, Source: to.Source, IfIndex: to.IfIndex,
		TTL: to.TTL, TOS: to.TOS, Fragment: uint8(to.Fragment), Flags: uint8(to.Flags),
	}
}

// opList is a FIFO of operations.
type opList struct{ head, tail *wsk.SendOp }

func (l *opList) push(op *wsk.SendOp) {
	t := &op.Transport
	t.Prev, t.Next, t.Linked = l.tail, nil, true
	if l.tail == nil {
		l.head = op
	} else {
		l.tail.Transport.Next = op
	}
	l.tail = op
}

func (l *opList) remove(op *wsk.SendOp) {
	t := &op.Transport
	if t.Prev == nil {
		l.head = t.Next
	} else {
		t.Prev.Transport.Next = t.Next
	}
	if t.Next == nil {
		l.tail = t.Prev
	} else {
		t.Next.Transport.Prev = t.Prev
	}
	t.Prev, t.Next, t.Linked = nil, nil, false
}
