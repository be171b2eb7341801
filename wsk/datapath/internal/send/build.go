// SPDX-License-Identifier: Apache-2.0

package send

import (
	"errors"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// build builds the frames of an operation straight from the client's MDL chains into chunks, as many as there are. Whoever
// drives the queue publishes them. It reports whether the whole operation is in the ring now; if not, the operation has a
// failure status or goes on where it stopped when chunks have come back.
func (p *producer) build(op *wsk.SendOp, l *layout) bool {
	pr := progressOf(op)
	if len(op.Bufs) == 1 && op.Segment == 0 && l.offload == 0 && pr.piece == 0 && p.buildOne(op, l) {
		return true
	}
	for pr.buf < len(op.Bufs) {
		if pr.piece == 0 && op.Segment == 0 && l.offload == 0 && p.buildRun(op, l) {
			break
		}
		if l.open {
			there := l.to(op)
			l = &there
		}
		if !p.buildBuf(op, l) {
			return false
		}
		pr.buf++
		pr.piece = 0
	}
	pr.built = true
	op.SetProgress(wsk.SendAccepted)
	return true
}

// buildOne is buildRun for an operation of one datagram.
func (p *producer) buildOne(op *wsk.SendOp, l *layout) bool {
	buf, last := &op.Bufs[0], len(p.free)-1
	n := int(buf.Length)
	piece := buf.Piece(0, n)
	if piece == nil || n > l.room || last < 0 {
		return false
	}
	idx := p.free[last]
	s := &p.slots[idx]
	s.renew()
	addr := s.addr()
	p.ipID++
	if l.open {
		d := dst(op)
		n = l.Template.PutDatagramTo(p.umem.Chunk(addr), piece, p.ipID, &d)
	} else {
		n = l.Template.PutDatagram(p.umem.Chunk(addr), piece, p.ipID)
	}
	at, _ := p.ring.Put(xdp.Desc{Addr: addr, Len: uint32(n)})
	s.op, s.at, s.use = op, at, slotDatagram
	p.free = p.free[:last]
	p.inflight++
	p.unpublished++
	p.stats.submitted++
	pr := progressOf(op)
	pr.frames, pr.buf, pr.built = 1, 1, true
	op.SetProgress(wsk.SendAccepted)
	return true
}

// buildRun builds datagrams one after the other while each lies in one piece, leaves in one frame and finds a chunk, and
// reports whether those were all. It is one loop with everything at hand, since nearly all datagrams are built here.
func (p *producer) buildRun(op *wsk.SendOp, l *layout) bool {
	pr := progressOf(op)
	bufs, free, id := op.Bufs[pr.buf:], p.free, p.ipID
	first, room := p.ring.Reserve(uint32(min(len(bufs), len(free))))
	var built uint32
	var to *frame.Dst
	if l.open {
		d := dst(op)
		to = &d
	}
	for built < room {
		buf := &bufs[built]
		n := int(buf.Length)
		piece := buf.Piece(0, n)
		if piece == nil || n > l.room {
			break
		}
		last := len(free) - 1
		s := &p.slots[free[last]]
		s.renew()
		addr, at := s.addr(), first+built
		id++
		n = l.Template.PutDatagramTo(p.umem.Chunk(addr), piece, id, to)
		p.ring.Set(at, xdp.Desc{Addr: addr, Len: uint32(n)})
		s.op, s.at, s.use = op, at, slotDatagram
		free = free[:last]
		built++
	}
	p.ring.Cancel(room - built)
	p.free, p.ipID = free, id
	p.inflight += int(built)
	p.unpublished += built
	p.stats.submitted += uint64(built)
	pr.frames += int32(built)
	pr.buf += int(built)
	return pr.buf == len(op.Bufs)
}

// buildBuf builds what is left of one buffer, and reports whether that was all of it.
func (p *producer) buildBuf(op *wsk.SendOp, l *layout) bool {
	n := int(op.Bufs[progressOf(op).buf].Length)
	switch {
	case op.Segment != 0:
		return p.buildSegments(op, l, n)
	case n > l.whole || progressOf(op).piece != 0:
		return p.buildFragments(op, l, n)
	}
	c := op.Bufs[progressOf(op).buf].Cursor(0)
	return p.buildFrom(op, l, &c, n, p.nextID())
}

// buildFragments cuts one datagram into IP fragments. The checksum in the first covers all, so the payload is
// summed once before the first frame is built.
func (p *producer) buildFragments(op *wsk.SendOp, l *layout, n int) bool {
	t, pr := &op.Transport, progressOf(op)
	buf := &op.Bufs[pr.buf]
	if pr.piece == 0 {
		pr.mtu = int32(l.mtu)
	}
	plan, err := l.Template.PlanFragments(n, int(pr.mtu))
	if err != nil {
		t.Status = buildStatus(err)
		return false
	}
	if len(p.free) == 0 {
		return false
	}
	if pr.piece == 0 {
		pr.id = p.dev.NextFragmentID()
		sum, ok := payloadSum(buf, n)
		if !ok {
			t.Status = wsk.STATUS_INVALID_PARAMETER
			return false
		}
		pr.sum = sum.State()
	}
	c := buf.Cursor(plan.At(pr.piece).PayloadOffset)
	for ; pr.piece < plan.Count(); pr.piece++ {
		fr := plan.At(pr.piece)
		if fr.FrameLen() > l.header+l.room {
			if !p.buildLongFragment(op, l, &c, plan) {
				return false
			}
			continue
		}
		idx, mem, ok := p.take()
		if !ok {
			return false
		}
		if !gather(mem[fr.HeaderLen:fr.FrameLen()], &c) {
			p.untake(idx)
			t.Status = wsk.STATUS_INVALID_PARAMETER
			return false
		}
		p.put(op, idx, l.Template.PutFragment(mem, plan, pr.piece, pr.id, frame.RestoreSum(pr.sum)))
	}
	return true
}

// buildFrom builds one unfragmented datagram from the next n payload bytes of a cursor, which stands still when there is no
// chunk.
func (p *producer) buildFrom(op *wsk.SendOp, l *layout, c *wsk.Cursor, n int, id uint16) bool {
	if n > l.room {
		return p.buildLong(op, l, c, n, id)
	}
	idx, mem, ok := p.take()
	if !ok {
		return false
	}
	var sum frame.Sum
	dst := mem[l.header : l.header+n]
	offload := l.offload != 0 && l.offload == p.offload
	if offload {
		ok = gather(dst, c)
	} else {
		ok = gatherSum(dst, c, &sum)
	}
	switch {
	case !ok:
		p.untake(idx)
		op.Transport.Status = wsk.STATUS_INVALID_PARAMETER
	case offload:
		p.putRequest(op, idx, l.Template.PutHeadersPartial(mem, n, id), l.request)
	default:
		p.put(op, idx, l.Template.PutHeaders(mem, n, id, sum))
	}
	return ok
}

// gatherSum is gather with a checksum.
func gatherSum(dst []byte, c *wsk.Cursor, sum *frame.Sum) bool {
	for len(dst) > 0 {
		piece := c.Next(len(dst))
		if len(piece) == 0 {
			return false
		}
		sum.CopyAdd(dst, piece)
		dst = dst[len(piece):]
	}
	return true
}

// gather copies payload into dst, and reports whether there was enough of it: a client that changes its MDL chain while
// it is lent out must not get beyond its own datagram.
func gather(dst []byte, c *wsk.Cursor) bool {
	for len(dst) > 0 {
		piece := c.Next(len(dst))
		if len(piece) == 0 {
			return false
		}
		dst = dst[copy(dst, piece):]
	}
	return true
}

func payloadSum(buf *wsk.Buf, n int) (sum frame.Sum, ok bool) {
	for c := buf.Cursor(0); n > 0; {
		piece := c.Next(n)
		if len(piece) == 0 {
			return sum, false
		}
		sum.Add(piece)
		n -= len(piece)
	}
	return sum, true
}

// buildStatus is the status of a datagram that the path does not take.
func buildStatus(err error) wsk.NTSTATUS {
	if errors.Is(err, frame.ErrMTU) {
		return wsk.STATUS_NETWORK_UNREACHABLE
	}
	return wsk.STATUS_INVALID_BUFFER_SIZE
}
