// SPDX-License-Identifier: Apache-2.0

package send

import (
	"fmt"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// producer is the producer's side of a TX ring, with the chunks that go through it: where each chunk is, and what it
// carries. The queue's mu guards it.
type producer struct {
	dev         Device
	ring        *xdp.TxRing
	umem        *xdp.UMEM
	slots       []slot   // by chunk
	free        []uint32 // LIFO, so that a hot chunk is used again first
	inflight    int      // chunks with the kernel, or about to be
	newest      uint32   // the last descriptor, in the order of the ring, that came back
	unpublished uint32   // descriptors in the ring that the kernel has not been told of
	offload     uint32   // the grant of the socket, see prover
	span        int      // the most chunks of a frame
	ipID        uint16
	stats       counts
}

// counts are counted under a queue's mu.
type counts struct {
	submitted, offloaded, completed, dropped, foreign, unpinned, parked, rebuilds uint64

	replaced xdp.Counters // of the sockets before this one
}

// sum is what two sockets have counted.
func sum(a, b xdp.Counters) xdp.Counters {
	a.Kicks += b.Kicks
	a.KicksSaved += b.KicksSaved
	a.RxWakeups += b.RxWakeups
	for i, n := range b.ByResult {
		a.ByResult[i] += n
	}
	return a
}

// slot is what a chunk with the kernel carries. The address that is posted changes its low bits from one use of the chunk
// to the next: a completion that names an earlier use is recognised as foreign.
type slot struct {
	op         *wsk.SendOp  // of a datagram
	base       uint64       // the lowest address of the chunk
	at         uint32       // its descriptor in the TX ring
	fate       wsk.NTSTATUS // set when the kernel said that it dropped this frame
	generation uint8        // of the address in use
	use        slotUse
}

type slotUse uint8

const (
	slotFree slotUse = iota
	slotDatagram
	slotPart  // a part of a datagram's frame, but for the last
	slotProbe // a frame of the prover's, which belongs to no operation
)

// generations is the number of different addresses a chunk's frames start at, generationStep bytes apart.
const (
	generations    = 8
	generationStep = 8
	GenerationRoom = generations * generationStep
)

// addr is the address at which the frame of this use starts.
func (s *slot) addr() uint64 { return s.base + uint64(s.generation)*generationStep }

// renew gives the chunk its next address, and disowns the one it had.
func (s *slot) renew() { s.generation = (s.generation + 1) % generations }

// clear forgets what the chunk carried.
func (s *slot) clear() { s.op, s.fate, s.use = nil, wsk.STATUS_SUCCESS, slotFree }

// reset begins anew with the ring and the chunks of a fresh socket.
func (p *producer) reset(sock xdp.Queue) {
	p.ring, p.umem = sock.TX(), sock.UMEM()
	p.span = sock.Granted().FrameChunks
	// Never more chunks than the ring has room for: a chunk in hand is then a slot of the ring in hand.
	n := min(p.umem.TxChunks(), p.ring.Size()-1)
	if len(p.slots) != n {
		p.slots = make([]slot, n)
		p.free = make([]uint32, 0, n)
	}
	p.free = p.free[:0]
	for i := n - 1; i >= 0; i-- {
		p.slots[i].clear()
		p.slots[i].base = p.umem.Addr(i)
		p.free = append(p.free, uint32(i))
	}
	p.inflight, p.unpublished = 0, 0
	p.newest = p.ring.Producer() - 1
}

// capacity is the longest frame, or part of one, that a chunk holds, whatever its generation.
func (p *producer) capacity() int { return p.umem.FrameSize() - GenerationRoom }

// limits are the longest frame that the ring takes, and the longest that a chunk holds, of this socket and of any that takes its
// place: one whose frames have metadata in front has less room.
func (p *producer) limits() (frame, chunk int) {
	frame = p.capacity()
	if p.span <= 1 {
		return frame, frame
	}
	chunk = min(frame, p.umem.ChunkSize()-GenerationRoom-xdp.TxMetadataLen)
	return chunk * min(p.span, len(p.slots)), chunk
}

// take takes a chunk off the pool, at its next address.
func (p *producer) take() (idx uint32, mem []byte, ok bool) {
	last := len(p.free) - 1
	if last < 0 {
		return 0, nil, false
	}
	idx = p.free[last]
	p.free = p.free[:last]
	s := &p.slots[idx]
	s.renew()
	return idx, p.umem.Chunk(s.addr()), true
}

// untake returns a chunk that was not used after all.
func (p *producer) untake(idx uint32) { p.free = append(p.free, idx) }

// put puts a finished frame of an operation into the ring; publish makes it visible. The ring has more entries than there
// are chunks, so there is room whenever there was a chunk. It returns the index of the descriptor.
func (p *producer) put(op *wsk.SendOp, idx uint32, frameLen int) uint32 {
	s := &p.slots[idx]
	at, _ := p.ring.Put(xdp.Desc{Addr: s.addr(), Len: uint32(frameLen)})
	s.op, s.at, s.use = op, at, slotDatagram
	progressOf(op).frames++
	p.inflight++
	p.unpublished++
	p.stats.submitted++
	return at
}

// putProbe is putRequest for a frame that belongs to no operation.
func (p *producer) putProbe(idx uint32, frameLen int, r xdp.ChecksumRequest) {
	s := &p.slots[idx]
	s.at, _ = p.ring.Put(xdp.Desc{Addr: s.addr(), Len: uint32(frameLen)})
	s.use = slotProbe
	p.inflight++
	p.stats.submitted++
	p.demand(s, s.at, r)
	p.unpublished++
}

// putRequest is put with metadata in front of the frame.
func (p *producer) putRequest(op *wsk.SendOp, idx uint32, frameLen int, r xdp.ChecksumRequest) {
	p.demand(&p.slots[idx], p.put(op, idx, frameLen), r)
}

// demand lays metadata in front of a frame that is in the ring and not published.
func (p *producer) demand(s *slot, at uint32, r xdp.ChecksumRequest) {
	r.Put((*[xdp.TxMetadataLen]byte)(p.umem.Chunk(s.addr() - xdp.TxMetadataLen)))
	d := p.ring.At(at)
	d.Options = xdp.DescTxMetadata
	p.ring.Set(at, d)
	p.stats.offloaded++
}

// publish tells the kernel of everything in the ring.
func (p *producer) publish() {
	if p.unpublished != 0 {
		p.ring.Submit(p.unpublished)
		p.unpublished = 0
	}
}

// slotOf is the chunk of a frame under way, and its slot, by the address that was posted; nil if that names none.
func (p *producer) slotOf(addr uint64) (idx uint32, s *slot) {
	chunk, ok := p.umem.Index(addr)
	if !ok || chunk >= len(p.slots) || p.slots[chunk].use == slotFree || p.slots[chunk].addr() != addr {
		return 0, nil
	}
	return uint32(chunk), &p.slots[chunk]
}

// takeBack takes n completions: the chunks go back to the pool, and operations that nothing holds any more to done. An address
// that does not name a frame that was posted and has not come back is counted, never trusted. The frames of an operation
// mostly come back together, and are counted together.
func (p *producer) takeBack(cq *xdp.CompletionRing, first, n uint32, done *ops.List) {
	var op *wsk.SendOp
	var frames int32 // of op
	free, newest, parts := p.free, p.newest, 0
	for i := range n {
		idx, s := p.slotOf(cq.At(first + i))
		if s == nil {
			p.stats.foreign++
			continue
		}
		if s.op != op {
			takenBack(op, frames, done)
			op, frames = s.op, 0
		}
		frames++
		if s.fate != wsk.STATUS_SUCCESS && op != nil && op.Transport.Status == wsk.STATUS_SUCCESS {
			op.Transport.Status = s.fate
		}
		if int32(s.at-newest) > 0 {
			newest = s.at
		}
		if s.use == slotPart {
			parts++
		}
		s.clear()
		free = append(free, idx)
	}
	takenBack(op, frames, done)
	back := len(free) - len(p.free)
	p.free, p.newest = free, newest
	p.inflight -= back
	p.stats.completed += uint64(back - parts)
}

// takenBack counts frames of an operation that have come back. A probe has none.
func takenBack(op *wsk.SendOp, frames int32, done *ops.List) {
	if op == nil {
		return
	}
	pr := progressOf(op)
	if pr.frames -= frames; pr.frames != 0 {
		return
	}
	// An operation that was made cancellable may have left all the same: the driver had it, or a kernel that is late to say
	// what it has consumed.
	disarm(op)
	if !pr.held() {
		done.PushBack(op)
	}
}

// eachPosted visits the operations of the descriptors that the kernel has not consumed, once per descriptor.
func (p *producer) eachPosted(do func(*wsk.SendOp)) {
	p.publish()
	for i, end := p.ring.Consumer(), p.ring.Producer(); i != end; i++ {
		if idx, ok := p.umem.Index(p.ring.At(i).Addr); ok && p.slots[idx].op != nil {
			do(p.slots[idx].op)
		}
	}
}

// consumed is the number of frames that the kernel has taken out of the ring and not given back.
func (p *producer) consumed() int { return p.inflight - int(p.ring.Pending()) }

func (p *producer) nextID() uint16 {
	p.ipID++
	return p.ipID
}

// audit says what is wrong with the pool where nothing is under way.
func (p *producer) audit() error {
	seen := make(map[uint32]bool)
	for _, idx := range p.free {
		if seen[idx] {
			return fmt.Errorf("chunk %d is in the pool twice", idx)
		}
		seen[idx] = true
	}
	for i := range p.slots {
		if p.slots[i].use != slotFree {
			return fmt.Errorf("slot %d is in use still", i)
		}
	}
	if len(p.free) != len(p.slots) || p.inflight != 0 {
		return fmt.Errorf("%d of %d chunks in the pool, %d with the kernel", len(p.free), len(p.slots), p.inflight)
	}
	return nil
}
