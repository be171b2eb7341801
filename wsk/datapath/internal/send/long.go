// SPDX-License-Identifier: Apache-2.0

package send

import (
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Frames that do not fit one chunk, as those of an MTU of 9000, lie in several: the headers and the beginning of the payload in the
// first, the rest where the others start. Each chunk has a descriptor of its own, and all of them are put into the ring together. Their
// checksums are always computed here.

// long is the chunks of one such frame, taken off the pool.
type long struct {
	chunks [32]uint32
	n      int
	size   int // of the frame
}

// takeLong takes chunks for a frame. Without enough of them it takes none.
func (p *producer) takeLong(size int) (fr long, ok bool) {
	fr.size = size
	need := (size + p.capacity() - 1) / p.capacity()
	if need > len(p.free) || need > len(fr.chunks) {
		return fr, false
	}
	for ; fr.n < need; fr.n++ {
		fr.chunks[fr.n], _, _ = p.take()
	}
	return fr, true
}

func (p *producer) untakeLong(fr *long) {
	for ; fr.n > 0; fr.n-- {
		p.untake(fr.chunks[fr.n-1])
	}
}

// part is the memory of the i-th part of a frame.
func (p *producer) part(fr *long, i int) []byte {
	room := p.capacity()
	return p.umem.Chunk(p.slots[fr.chunks[i]].addr())[:min(room, fr.size-i*room)]
}

// gatherLong is gather behind the headers of a frame, and gatherSum if there is a sum.
func (p *producer) gatherLong(fr *long, header int, c *wsk.Cursor, sum *frame.Sum) (ok bool) {
	for i := range fr.n {
		dst := p.part(fr, i)[header:]
		if sum != nil {
			ok = gatherSum(dst, c, sum)
		} else {
			ok = gather(dst, c)
		}
		if !ok {
			return false
		}
		header = 0
	}
	return true
}

// putLong is put for all parts of a frame.
func (p *producer) putLong(op *wsk.SendOp, fr *long) {
	for i := range fr.n {
		s := &p.slots[fr.chunks[i]]
		d := xdp.Desc{Addr: s.addr(), Len: uint32(len(p.part(fr, i))), Options: xdp.DescContinued}
		s.op, s.use = op, slotPart
		if i == fr.n-1 {
			d.Options, s.use = 0, slotDatagram
		}
		s.at, _ = p.ring.Put(d)
	}
	progressOf(op).frames += int32(fr.n)
	p.inflight += fr.n
	p.unpublished += uint32(fr.n)
	p.stats.submitted++
}

// canSpan reports whether the socket takes a frame of a size, and fails the operation where it does not: the socket that its path was
// made for did.
func (p *producer) canSpan(op *wsk.SendOp, size int) bool {
	if size > p.capacity()*min(p.span, len(p.slots)) {
		op.Transport.Status = wsk.STATUS_NETWORK_UNREACHABLE
		return false
	}
	return true
}

// buildLong is buildFrom for a frame of several chunks.
func (p *producer) buildLong(op *wsk.SendOp, l *layout, c *wsk.Cursor, n int, id uint16) bool {
	if !p.canSpan(op, l.header+n) {
		return false
	}
	fr, ok := p.takeLong(l.header + n)
	if !ok {
		return false
	}
	var sum frame.Sum
	if !p.gatherLong(&fr, l.header, c, &sum) {
		p.untakeLong(&fr)
		op.Transport.Status = wsk.STATUS_INVALID_PARAMETER
		return false
	}
	l.Template.PutHeadersApart(p.part(&fr, 0), n, id, sum)
	p.putLong(op, &fr)
	return true
}

// buildLongFragment builds the fragment of a plan that is next, of several chunks.
func (p *producer) buildLongFragment(op *wsk.SendOp, l *layout, c *wsk.Cursor, plan frame.FragmentPlan) bool {
	pr := progressOf(op)
	f := plan.At(pr.piece)
	if !p.canSpan(op, f.FrameLen()) {
		return false
	}
	fr, ok := p.takeLong(f.FrameLen())
	if !ok {
		return false
	}
	if !p.gatherLong(&fr, f.HeaderLen, c, nil) {
		p.untakeLong(&fr)
		op.Transport.Status = wsk.STATUS_INVALID_PARAMETER
		return false
	}
	l.Template.PutFragmentApart(p.part(&fr, 0), plan, pr.piece, pr.id, frame.RestoreSum(pr.sum))
	p.putLong(op, &fr)
	return true
}
