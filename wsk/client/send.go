// SPDX-License-Identifier: Apache-2.0

package client

import (
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// slots is how many entries of a socket may be under way. The ID of an entry is its slot.
const slots = ipc.MaxSends * ipc.MaxBatch

// sending is the sending half of an endpoint. The session's mutex guards it.
type sending struct {
	waiting opList
	slots   []slot // by ID
	free    []uint16
	held    map[uint32]struct{} // slots that aren't given away again before the reply to a CANCEL
	sends   int                 // SENDs under way
	aborted bool
}

// slot is the operation of an entry that is under way, and the SEND that has it. Without an operation it is free.
type slot struct {
	op  *wsk.SendOp
	seq uint32
}

func (x *sending) init() {
	x.slots, x.free = make([]slot, slots), make([]uint16, slots)
	for i := range x.free {
		x.free[i] = uint16(slots - 1 - i)
	}
}

func (x *sending) canSend() bool {
	return x.waiting.head != nil && x.sends < ipc.MaxSends && len(x.free) > 0
}

// Send implements wsk.Endpoint. Completion routines run on the session's goroutine alone.
func (ep *endpoint) Send(op *wsk.SendOp) {
	s := ep.session.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	ep.take(s, op)
	s.makeReady(ep)
}

// SendBatch implements wsk.BatchEndpoint. The writer finds all operations at once, and fills its messages with them.
func (ep *endpoint) SendBatch(ops []*wsk.SendOp) {
	s := ep.session.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range ops {
		ep.take(s, op)
	}
	s.makeReady(ep)
}

// take lets an operation wait for the writer, or ends it. The mutex is held.
func (ep *endpoint) take(s *session, op *wsk.SendOp) {
	switch {
	case ep.dead:
		s.done.end(op, wsk.STATUS_FILE_FORCED_CLOSED)
	case ep.out.aborted, !op.ArmCancel(ep):
		s.done.end(op, wsk.STATUS_CANCELLED)
	default:
		ep.out.waiting.push(op)
	}
}

// CancelSend implements wsk.Canceller. What waits here is taken back; what the daemon has it is asked to take back, and
// the operation ends when it has answered.
func (ep *endpoint) CancelSend(op *wsk.SendOp) {
	s := ep.session.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	room := &op.Transport.Room
	if room[roomEnding]&endedInDaemon != 0 {
		s.done.end(op, outcome(op))
		return
	}
	room[roomEnding] |= cancelSeen
	ep.dropRest(op, wsk.STATUS_CANCELLED)
	if room[roomUnder] == 0 {
		s.done.end(op, outcome(op))
		return
	}
	if s.over {
		return // the session is about to bury it
	}
	for id := range ep.out.slots {
		if ep.out.slots[id].op == op {
			ep.takeBack(s, uint32(id))
		}
	}
}

// takeBack asks the daemon for an entry. Until it has answered no other entry gets the same ID: it could be taken for it.
// The mutex is held.
func (ep *endpoint) takeBack(s *session, id uint32) {
	if ep.out.held == nil {
		ep.out.held = make(map[uint32]struct{})
	}
	ep.out.held[id] = struct{}{}
	body := ipc.Cancel{ID: id}
	s.enqueue(request{
		kind: ipc.TypeCancel, socket: ep.number, body: body.Append(nil),
		reply: func([]byte, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(ep.out.held, id)
			if ep.out.slots[id].op == nil {
				ep.out.free = append(ep.out.free, uint16(id))
				s.makeReady(ep)
			}
		},
	})
}

// Abort implements wsk.Endpoint.
func (ep *endpoint) Abort() {
	s := ep.session.Load()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ep.out.aborted {
		return
	}
	ep.out.aborted = true
	ep.endWaiting(wsk.STATUS_CANCELLED)
	if !s.over && len(ep.out.free) < len(ep.out.slots) {
		s.enqueue(request{kind: ipc.TypeAbort, socket: ep.number})
	}
}

// endWaiting ends what waits here. The mutex is held.
func (ep *endpoint) endWaiting(status wsk.NTSTATUS) {
	for op := ep.out.waiting.head; op != nil; op = ep.out.waiting.head {
		ep.dropRest(op, status)
		if op.Transport.Room[roomUnder] == 0 {
			ep.end(op)
		}
	}
}

// dropRest takes an operation off the list of those that have something to hand over, and makes it a failure if it was
// there. The mutex is held.
func (ep *endpoint) dropRest(op *wsk.SendOp, status wsk.NTSTATUS) {
	if op.Transport.Linked {
		ep.out.waiting.remove(op)
		fail(op, status, ipc.ReasonNone)
	}
}

// end ends an operation of which nothing waits and nothing is under way, unless its canceller is on the way here and is
// going to do it. The mutex is held.
func (ep *endpoint) end(op *wsk.SendOp) {
	room := &op.Transport.Room
	if !op.DisarmCancel() && room[roomEnding]&cancelSeen == 0 {
		room[roomEnding] |= endedInDaemon
		return
	}
	ep.session.Load().done.end(op, outcome(op))
}

// completed takes a reply to the SEND of a number: of its entries, and of no others. The mutex is held.
func (ep *endpoint) completed(seq uint32, list []ipc.Completion) error {
	for i := range list {
		c := &list[i]
		if c.ID >= slots || ep.out.slots[c.ID].op == nil || ep.out.slots[c.ID].seq != seq {
			return &ipc.Violation{
				Reason: ipc.ReasonState, Type: ipc.TypeSend.Reply(), Rule: "a completion is of an entry of its SEND that is under way",
			}
		}
		op := ep.freeSlot(c.ID)
		if c.Status != 0 {
			fail(op, wsk.NTSTATUS(c.Status), c.Reason)
			ep.dropRest(op, wsk.NTSTATUS(c.Status))
		}
		if op.Transport.Room[roomUnder] == 0 && !op.Transport.Linked {
			ep.end(op)
		}
	}
	return nil
}

func (ep *endpoint) freeSlot(id uint32) *wsk.SendOp {
	op := ep.out.slots[id].op
	ep.out.slots[id] = slot{}
	if _, held := ep.out.held[id]; !held {
		ep.out.free = append(ep.out.free, uint16(id))
	}
	op.Transport.Room[roomUnder]--
	return op
}

// bury ends everything at the end of the session. The mutex is held, and the writer is no more.
func (ep *endpoint) bury() {
	ep.endWaiting(wsk.STATUS_FILE_FORCED_CLOSED)
	for id := range ep.out.slots {
		if ep.out.slots[id].op == nil {
			continue
		}
		op := ep.freeSlot(uint32(id))
		fail(op, wsk.STATUS_FILE_FORCED_CLOSED, ipc.ReasonNone)
		if op.Transport.Room[roomUnder] == 0 {
			ep.end(op)
		}
	}
	ep.out.sends = 0
}
