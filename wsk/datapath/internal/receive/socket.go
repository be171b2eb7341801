// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"runtime"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Socket receives on one AF_XDP socket and lends its chunks. A chunk is in the fill ring, with the kernel or in the RX ring
// (lent unset), or being looked at or lent to a receiver (lent set), or on its way back (in back).
//
//	RingMu  of the Queue: the RX ring and everything under it.
//	FillMu  the fill ring, back and the counts. Held for a few instructions by whoever releases a datagram. Taken after RingMu.
type Socket struct {
	Queue *Queue
	Sock  xdp.Queue
	umem  *xdp.UMEM
	base  int // index of the first RX chunk
	size  uint64
	wait  Waiter

	Ring    *xdp.RxRing // this and the next two are guarded by r.RingMu
	Stopped bool
	dropped []uint64 // chunks of the batch that nobody gets
	Out     Delivery // this and the next are touched by the goroutine only
	Meter   LingerMeter

	Slots []slot

	_ [64]byte

	FillMu lockrank.Mutex[locks.FillMu]
	Fill   *xdp.FillRing
	Back   []uint64
	Lent   int
	Idle   bool // the goroutine waits, so whoever gives a chunk back fills
	Closed bool
}

// slot is a chunk's datagram. Whoever sets or clears lent owns it then.
type slot struct {
	d    *wsk.Datagram
	addr uint64
	lent atomic.Bool
}

const (
	// BatchFrames is how many frames are looked at before they are delivered.
	BatchFrames = 64
	// FillBatch is how many chunks come back before they are put into the fill ring while the goroutine is busy.
	FillBatch = 32
	// keepShare: when fewer than 1/keepShare of the chunks are free, a datagram that is kept leaves the UMEM.
	keepShare = 4
	// scarceShare: when fewer than 1/scarceShare are free because receivers hold datagrams without saying that they keep
	// them, copies are delivered in the first place.
	scarceShare = 8
)

// scarce reports whether fewer than a share of the chunks are free, or none: the last one is never lent.
func (s *Socket) scarce(free, share int) bool { return free < max(len(s.Slots)/share, 1) }

func newSocket(r *Queue, sock xdp.Queue) *Socket {
	u := sock.UMEM()
	n := u.RxChunks()
	s := &Socket{
		Queue: r, Sock: sock, umem: u, base: u.TxChunks(), size: uint64(u.ChunkSize()), Ring: sock.RX(), Fill: sock.Fill(),
		Slots: make([]slot, n), Back: make([]uint64, 0, n), dropped: make([]uint64, 0, BatchFrames),
	}
	datagrams := make([]wsk.Datagram, n)
	for i := range s.Slots {
		s.Slots[i].d, s.Slots[i].addr = &datagrams[i], u.Addr(s.base+i)
	}
	return s
}

// loop is the goroutine of the socket. It ends when the socket is stopped.
func (s *Socket) loop() {
	defer s.Queue.Intake.Hub.keepTo(s.Queue.ID)()
	for {
		n, ok := s.Step()
		switch {
		case !ok:
			return
		case n > 0:
			s.Out.Flush()
			s.Settle(false)
			s.Meter.Frames += uint64(n)
		case s.Queue.Intake.Hub.BusyPoll > 0:
			s.Settle(false)
			s.Sock.WakeRX() // runs the driver's poll on this thread
			runtime.Gosched()
		case s.Linger():
		default:
			s.Settle(true)
			if !s.wait.Wait(s.ready) {
				return
			}
		}
	}
}

// ready reports whether there is something for step to do.
func (s *Socket) ready() bool {
	s.Queue.RingMu.Lock()
	defer s.Queue.RingMu.Unlock()
	if s.Stopped {
		return true
	}
	_, n := s.Ring.Peek(1)
	return n > 0
}

// Step takes a batch of frames off the ring and sorts them into out. ok is false when the socket has been stopped.
func (s *Socket) Step() (n uint32, ok bool) {
	s.Queue.RingMu.Lock()
	defer s.Queue.RingMu.Unlock()
	if s.Stopped {
		return 0, false
	}
	first, n := s.Ring.Peek(BatchFrames)
	if n == 0 {
		return 0, true
	}
	free := s.borrow(int(n))
	b := batch{
		s: s, arrivals: s.Queue.Intake.Arrivals.Load(), stats: &s.Queue.stats.counters,
		copy: s.scarce(free, scarceShare),
	}
	for i := range n {
		b.take(s.Ring.At(first + i))
	}
	s.Ring.Release(n)
	s.giveBackDropped(b.foreign)
	return n, true
}

// borrow counts a batch as lent and returns how many chunks are left to the kernel.
func (s *Socket) borrow(n int) (free int) {
	s.FillMu.Lock()
	defer s.FillMu.Unlock()
	s.Idle = false
	s.Lent += n
	return len(s.Slots) - s.Lent
}

// giveBackDropped returns the chunks of a batch that nobody gets; foreign descriptors named none. RingMu is held, so the
// socket is not closed.
func (s *Socket) giveBackDropped(foreign int) {
	if len(s.dropped) == 0 && foreign == 0 {
		return
	}
	s.FillMu.Lock()
	s.Lent -= len(s.dropped) + foreign
	s.Back = append(s.Back, s.dropped...)
	s.FillMu.Unlock()
	s.dropped = s.dropped[:0]
}

// Settle puts what came back into the fill ring. With idle set, whoever gives a chunk back later does it alone.
func (s *Socket) Settle(idle bool) {
	s.FillMu.Lock()
	s.Idle = idle
	wake := !s.Closed && s.refillLocked()
	s.FillMu.Unlock()
	if wake {
		s.Sock.WakeRX()
	}
}

// refillLocked hands chunks to the kernel and reports whether the kernel wants to be told.
func (s *Socket) refillLocked() (wake bool) {
	if len(s.Back) == 0 {
		return false
	}
	first, n := s.Fill.Reserve(uint32(len(s.Back)))
	for i := range n {
		s.Fill.Set(first+i, s.Back[i])
	}
	s.Fill.Submit(n)
	s.Back = s.Back[:copy(s.Back, s.Back[n:])]
	return s.Fill.NeedWakeup()
}

// stop ends the use of rings and, when nothing is lent, of the memory. The goroutine ends soon; it is not waited for, because
// it may be in a client's callback, perhaps in the very one that leads here.
func (s *Socket) stop() error {
	s.Queue.RingMu.Lock()
	s.Stopped = true
	_, left := s.Ring.Peek(uint32(s.Ring.Size()))
	s.Queue.stats.abandoned += uint64(left)
	s.Queue.RingMu.Unlock()
	s.wait.End()
	s.FillMu.Lock()
	s.Closed = true
	lent := s.Lent
	s.FillMu.Unlock()
	if d, ok := s.Sock.(detachable); ok && lent > 0 {
		return d.Detach()
	}
	return s.Sock.Close()
}
