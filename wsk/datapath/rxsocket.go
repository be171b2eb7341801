// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"runtime"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// rxSocket receives on one AF_XDP socket and lends its chunks. A chunk is in the fill ring, with the kernel or in the RX ring
// (lent unset), or being looked at or lent to a receiver (lent set), or on its way back (in back).
//
//	ringMu  of the rxQueue: the RX ring and everything under it.
//	fillMu  the fill ring, back and the counts. Held for a few instructions by whoever releases a datagram. Taken after ringMu.
type rxSocket struct {
	r    *rxQueue
	sock xdp.Queue
	umem *xdp.UMEM
	base int // index of the first RX chunk
	size uint64
	wait rxWaiter

	ring    *xdp.RxRing // this and the next two are guarded by r.ringMu
	stopped bool
	dropped []uint64 // chunks of the batch that nobody gets
	out     delivery // this and the next are touched by the goroutine only
	meter   lingerMeter

	slots []rxSlot

	_ [64]byte

	fillMu lockrank.Mutex[locks.FillMu]
	fill   *xdp.FillRing
	back   []uint64
	lent   int
	idle   bool // the goroutine waits, so whoever gives a chunk back fills
	closed bool
}

// rxSlot is a chunk's datagram. Whoever sets or clears lent owns it then.
type rxSlot struct {
	d    *wsk.Datagram
	addr uint64
	lent atomic.Bool
}

const (
	// rxBatch is how many frames are looked at before they are delivered.
	rxBatch = 64
	// fillBatch is how many chunks come back before they are put into the fill ring while the goroutine is busy.
	fillBatch = 32
	// keepShare: when fewer than 1/keepShare of the chunks are free, a datagram that is kept leaves the UMEM.
	keepShare = 4
	// scarceShare: when fewer than 1/scarceShare are free because receivers hold datagrams without saying that they keep
	// them, copies are delivered in the first place.
	scarceShare = 8
)

// scarce reports whether fewer than a share of the chunks are free, or none: the last one is never lent.
func (s *rxSocket) scarce(free, share int) bool { return free < max(len(s.slots)/share, 1) }

func newRxSocket(r *rxQueue, sock xdp.Queue) *rxSocket {
	u := sock.UMEM()
	n := u.RxChunks()
	s := &rxSocket{
		r: r, sock: sock, umem: u, base: u.TxChunks(), size: uint64(u.ChunkSize()), ring: sock.RX(), fill: sock.Fill(),
		slots: make([]rxSlot, n), back: make([]uint64, 0, n), dropped: make([]uint64, 0, rxBatch),
	}
	datagrams := make([]wsk.Datagram, n)
	for i := range s.slots {
		s.slots[i].d, s.slots[i].addr = &datagrams[i], u.Addr(s.base+i)
	}
	return s
}

// loop is the goroutine of the socket. It ends when the socket is stopped.
func (s *rxSocket) loop() {
	defer s.r.in.hub.keepTo(s.r.id)()
	for {
		n, ok := s.step()
		switch {
		case !ok:
			return
		case n > 0:
			s.out.flush()
			s.settle(false)
			s.meter.frames += uint64(n)
		case s.r.in.hub.busyPoll > 0:
			s.settle(false)
			s.sock.WakeRX() // runs the driver's poll on this thread
			runtime.Gosched()
		case s.linger():
		default:
			s.settle(true)
			if !s.wait.wait(s.ready) {
				return
			}
		}
	}
}

// ready reports whether there is something for step to do.
func (s *rxSocket) ready() bool {
	s.r.ringMu.Lock()
	defer s.r.ringMu.Unlock()
	if s.stopped {
		return true
	}
	_, n := s.ring.Peek(1)
	return n > 0
}

// step takes a batch of frames off the ring and sorts them into out. ok is false when the socket has been stopped.
func (s *rxSocket) step() (n uint32, ok bool) {
	s.r.ringMu.Lock()
	defer s.r.ringMu.Unlock()
	if s.stopped {
		return 0, false
	}
	first, n := s.ring.Peek(rxBatch)
	if n == 0 {
		return 0, true
	}
	free := s.borrow(int(n))
	b := rxBatchState{
		s: s, arrivals: s.r.in.arrivals.Load(), stats: &s.r.stats.counters,
		copy: s.scarce(free, scarceShare),
	}
	for i := range n {
		b.take(s.ring.At(first + i))
	}
	s.ring.Release(n)
	s.giveBackDropped(b.foreign)
	return n, true
}

// borrow counts a batch as lent and returns how many chunks are left to the kernel.
func (s *rxSocket) borrow(n int) (free int) {
	s.fillMu.Lock()
	defer s.fillMu.Unlock()
	s.idle = false
	s.lent += n
	return len(s.slots) - s.lent
}

// giveBackDropped returns the chunks of a batch that nobody gets; foreign descriptors named none. ringMu is held, so the
// socket is not closed.
func (s *rxSocket) giveBackDropped(foreign int) {
	if len(s.dropped) == 0 && foreign == 0 {
		return
	}
	s.fillMu.Lock()
	s.lent -= len(s.dropped) + foreign
	s.back = append(s.back, s.dropped...)
	s.fillMu.Unlock()
	s.dropped = s.dropped[:0]
}

// settle puts what came back into the fill ring. With idle set, whoever gives a chunk back later does it alone.
func (s *rxSocket) settle(idle bool) {
	s.fillMu.Lock()
	s.idle = idle
	wake := !s.closed && s.refillLocked()
	s.fillMu.Unlock()
	if wake {
		s.sock.WakeRX()
	}
}

// refillLocked hands chunks to the kernel and reports whether the kernel wants to be told.
func (s *rxSocket) refillLocked() (wake bool) {
	if len(s.back) == 0 {
		return false
	}
	first, n := s.fill.Reserve(uint32(len(s.back)))
	for i := range n {
		s.fill.Set(first+i, s.back[i])
	}
	s.fill.Submit(n)
	s.back = s.back[:copy(s.back, s.back[n:])]
	return s.fill.NeedWakeup()
}

// stop ends the use of rings and, when nothing is lent, of the memory. The goroutine ends soon; it is not waited for, because
// it may be in a client's callback, perhaps in the very one that leads here.
func (s *rxSocket) stop() error {
	s.r.ringMu.Lock()
	s.stopped = true
	_, left := s.ring.Peek(uint32(s.ring.Size()))
	s.r.stats.abandoned += uint64(left)
	s.r.ringMu.Unlock()
	s.wait.close()
	s.fillMu.Lock()
	s.closed = true
	lent := s.lent
	s.fillMu.Unlock()
	if d, ok := s.sock.(detachable); ok && lent > 0 {
		return d.Detach()
	}
	return s.sock.Close()
}
