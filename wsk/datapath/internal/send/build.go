// SPDX-License-Identifier: Apache-2.0

package send

import (
	"errors"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// post builds the frames of an operation straight from the client's MDL chains into chunks, as many as there
// are. Whoever drives the queue publishes them. It reports whether the whole operation is with the kernel now; if not, the operation has a
// failure status or goes on where it stopped when chunks have come back. mu is held and the queue is up.
func (q *Queue) post(op *wsk.SendOp, f *Flow, p *Path) bool {
	t, pr := &op.Transport, progressOf(op)
	t.Via = f
	if len(op.Bufs) == 1 && op.Segment == 0 && pr.piece == 0 && int(op.Bufs[0].Length) <= p.room {
		if !q.putDatagram(op, p, 0, int(op.Bufs[0].Length), q.nextID()) {
			return false
		}
		pr.built = true
		q.unpublished++
		return true
	}
	var built uint32
	for pr.buf < len(op.Bufs) && q.postBuf(op, p, &built) {
		pr.buf++
		pr.piece = 0
	}
	q.unpublished += built
	pr.built = pr.buf == len(op.Bufs)
	return pr.built
}

// postBuf builds what is left of one buffer, counting the frames in built, and reports whether that was all of it.
func (q *Queue) postBuf(op *wsk.SendOp, p *Path, built *uint32) bool {
	n := int(op.Bufs[progressOf(op).buf].Length)
	switch {
	case op.Segment != 0:
		return q.postSegments(op, p, n, built)
	case n > p.room || progressOf(op).piece != 0:
		return q.postFragments(op, p, n, built)
	}
	if !q.putDatagram(op, p, 0, n, q.nextID()) {
		return false
	}
	*built++
	return true
}

// postFragments cuts one datagram into IP fragments. The checksum in the first covers all, so the payload is
// summed once before the first frame is built.
func (q *Queue) postFragments(op *wsk.SendOp, p *Path, n int, built *uint32) bool {
	t, pr := &op.Transport, progressOf(op)
	buf := &op.Bufs[pr.buf]
	if pr.piece == 0 {
		pr.mtu = p.mtu
	}
	plan, err := p.Template.PlanFragments(n, pr.mtu)
	if err != nil {
		t.Status = buildStatus(err)
		return false
	}
	if len(q.Free) == 0 {
		return false
	}
	if pr.piece == 0 {
		pr.id = q.Dev.NextFragmentID()
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
		idx, mem, ok := q.takeChunk()
		if !ok {
			return false
		}
		if !gather(mem[fr.HeaderLen:fr.FrameLen()], &c) {
			q.untakeChunk(idx)
			t.Status = wsk.STATUS_INVALID_PARAMETER
			return false
		}
		q.publish(op, idx, p.Template.PutFragment(mem, plan, pr.piece, pr.id, frame.RestoreSum(pr.sum)))
		*built++
	}
	return true
}

// putDatagram builds one unfragmented datagram from n payload bytes at offset of the operation's current buffer.
func (q *Queue) putDatagram(op *wsk.SendOp, p *Path, offset, n int, id uint16) bool {
	buf := &op.Bufs[progressOf(op).buf]
	piece := buf.Piece(offset, n)
	if piece == nil || p.Offload != 0 {
		c := buf.Cursor(offset)
		return q.putFrom(op, p, &c, n, id)
	}
	idx, mem, ok := q.takeChunk()
	if !ok {
		return false
	}
	var sum frame.Sum
	sum.CopyAdd(mem[p.header:p.header+n], piece)
	q.publish(op, idx, p.Template.PutHeaders(mem, n, id, sum))
	return true
}

// putFrom builds one unfragmented datagram from the next n payload bytes of a cursor, which stands still when there is no
// chunk.
func (q *Queue) putFrom(op *wsk.SendOp, p *Path, c *wsk.Cursor, n int, id uint16) bool {
	idx, mem, ok := q.takeChunk()
	if !ok {
		return false
	}
	var sum frame.Sum
	dst := mem[p.header : p.header+n]
	offload := p.Offload != 0 && p.Offload == q.Offload
	if offload {
		ok = gather(dst, c)
	} else {
		ok = gatherSum(dst, c, &sum)
	}
	switch {
	case !ok:
		q.untakeChunk(idx)
		op.Transport.Status = wsk.STATUS_INVALID_PARAMETER
	case offload:
		q.publishRequest(op, idx, p.Template.PutHeadersPartial(mem, n, id), p.Request)
	default:
		q.publish(op, idx, p.Template.PutHeaders(mem, n, id, sum))
	}
	return ok
}

// takeChunk takes a chunk off the pool, at its next address.
func (q *Queue) takeChunk() (idx uint32, mem []byte, ok bool) {
	last := len(q.Free) - 1
	if last < 0 {
		return 0, nil, false
	}
	idx = q.Free[last]
	q.Free = q.Free[:last]
	s := &q.Slots[idx]
	s.addr = s.base + (s.addr-s.base+generationStep)%GenerationRoom
	return idx, q.Umem.Chunk(s.addr), true
}

// untakeChunk returns a chunk that was not used after all.
func (q *Queue) untakeChunk(idx uint32) { q.Free = append(q.Free, idx) }

// publish puts a finished frame into the ring; publishLocked makes it visible. The ring has more entries than there are chunks,
// so there is room whenever there was a chunk. It returns the slot of the ring.
func (q *Queue) publish(op *wsk.SendOp, idx uint32, frameLen int) uint32 {
	s := &q.Slots[idx]
	at, _ := q.Tx.Put(xdp.Desc{Addr: s.addr, Len: uint32(frameLen)})
	s.Op, s.at, s.fate = op, at, wsk.STATUS_SUCCESS
	progressOf(op).frames++
	q.Inflight++
	q.stats.submitted++
	return at
}

// publishLocked tells the kernel of everything in the ring. mu is held.
func (q *Queue) publishLocked() {
	if q.unpublished != 0 {
		q.Tx.Submit(q.unpublished)
		q.unpublished = 0
	}
}

func (q *Queue) nextID() uint16 {
	q.ipID++
	return q.ipID
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
