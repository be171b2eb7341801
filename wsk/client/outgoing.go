// SPDX-License-Identifier: Apache-2.0

package client

import (
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// outgoing is the message that the writer makes.
type outgoing struct {
	buf    []byte
	writer ipc.SendWriter
	seq    uint32 // of the message
	pieces [ipc.MaxBatch]piece
}

// piece is the payload of an entry: length bytes of a buffer, and where they go.
type piece struct {
	buf    wsk.Buf
	offset int
	to     []byte
}

// fill makes a SEND of the oldest datagrams that wait, and says whether there are any. The payloads are copied by copy, and
// no reply is taken before filled. The mutex is held.
func (ep *endpoint) fill(o *outgoing) bool {
	x := &ep.out
	if !x.canSend() {
		return false
	}
	s := ep.session.Load()
	o.seq = s.calls.begin(call{kind: ipc.TypeSend, socket: ep.number})
	o.writer.Begin(o.buf, o.seq, ep.number)
	for op := x.waiting.head; op != nil; op = x.waiting.head {
		if !ep.hand(op, o) {
			break
		}
		x.waiting.remove(op)
	}
	x.sends++
	return true
}

// filled lets the daemon answer the SEND, now that nothing reads the payloads any more. The mutex is held.
func (s *session) filled(o *outgoing) {
	s.calls.list[placeOf(o.seq)].left = uint32(o.writer.Count())
}

// hand adds entries for the rest of an operation, and says whether that was all of it: else the message is full, or no
// slot is free.
func (ep *endpoint) hand(op *wsk.SendOp, o *outgoing) bool {
	room := &op.Transport.Room
	for room[roomBuf] < uint64(len(op.Bufs)) {
		if len(ep.out.free) == 0 {
			return false
		}
		buf := &op.Bufs[room[roomBuf]]
		offset := int(room[roomOffset])
		length, segment := ep.cut(op, int(buf.Length)-offset)
		e := entryOf(&op.To)
		e.Length, e.Segment = uint32(length), uint16(segment)
		e.ID = uint32(ep.out.free[len(ep.out.free)-1])
		n := o.writer.Count()
		to, ok := o.writer.Add(&e)
		if !ok {
			return false
		}
		o.pieces[n] = piece{*buf, offset, to}
		ep.out.free = ep.out.free[:len(ep.out.free)-1]
		ep.out.slots[e.ID] = slot{op, o.seq}
		room[roomUnder]++
		if room[roomOffset] += uint64(length); room[roomOffset] >= uint64(buf.Length) {
			room[roomBuf]++
			room[roomOffset] = 0
		}
	}
	return true
}

// cut says how much of the rest of a buffer the next entry takes, and the size of its segments, 0 for one datagram.
func (ep *endpoint) cut(op *wsk.SendOp, rest int) (length, segment int) {
	segment = int(op.Segment)
	if segment == 0 || rest <= segment {
		return rest, 0
	}
	if !ep.session.Load().has(ipc.FeatureSegment) {
		return segment, 0
	}
	return rest, segment // the socket takes no buffer that is larger than an entry may be
}

// copy copies the payloads into the message. No lock is held: the operations stay with the endpoint until the daemon has
// answered, or the writer is no more.
func (o *outgoing) copy() {
	for i := range o.writer.Count() {
		p := &o.pieces[i]
		if data := p.buf.Piece(p.offset, len(p.to)); data != nil {
			copy(p.to, data)
		} else {
			n := 0
			for c := p.buf.Cursor(p.offset); n < len(p.to); {
				data := c.Next(len(p.to) - n)
				if len(data) == 0 {
					break
				}
				n += copy(p.to[n:], data)
			}
			clear(p.to[n:]) // of a chain that was cut short meanwhile, against the contract
		}
		*p = piece{}
	}
}
