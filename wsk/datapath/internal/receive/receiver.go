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

// receiver takes frames off one AF_XDP socket and lends its chunks. A chunk is in the fill ring, with the kernel or
// in the RX ring (its slot is not lent), or being looked at or with a client (it is lent), or on its way back to the
// fill ring (in back).
//
//	ringMu  of the Queue: the RX ring and everything under it.
//	fillMu  the fill ring, back and the counts. Held for a few instructions by a goroutine that releases a datagram.
//	        Taken after ringMu.
type receiver struct {
	queue *Queue
	sock  xdp.Queue
	umem  *xdp.UMEM
	base  int // index of the first RX chunk
	wait  Waiter
	duty  *Duty

	ring       *xdp.RxRing // this and the next five are guarded by queue.ringMu
	stopped    bool
	dropped    []uint64 // chunks of the batch that nobody gets
	parts      assembly // of a frame in several chunks, the rest of which may come in another batch
	sources    *sources // nil until the host refuses some
	linkGroups linkGroups
	out        Delivery // this and the next belong to whoever has the duty
	meter      lingerMeter

	slots []slot

	_ [64]byte

	fillMu lockrank.Mutex[locks.FillMu]
	fill   *xdp.FillRing
	back   []uint64
	lent   int
	asleep bool // the goroutine waits, so that those who give a chunk back fill the ring
	closed bool
}

// detachable is a socket whose chunks can outlive it.
type detachable interface{ Detach() error }

// slot is a chunk's datagram. Whoever sets or clears lent owns it then.
type slot struct {
	d    *wsk.Datagram
	addr uint64
	lent atomic.Bool
}

const (
	// batchFrames is how many frames are looked at before they are delivered.
	batchFrames = budget
	// fillBatch is how many chunks come back before they are put into the fill ring while the goroutine is busy.
	fillBatch = 32
	// keepShare: when fewer than 1/keepShare of the chunks are free, a datagram that is kept leaves the UMEM.
	keepShare = 4
	// scarceShare: when fewer than 1/scarceShare are free because receivers hold datagrams without saying that they
	// keep them, copies are delivered in the first place.
	scarceShare = 8
)

// scarce reports whether fewer than a share of the chunks are free, or none: the last one is never lent.
func (r *receiver) scarce(free, share int) bool { return free < max(len(r.slots)/share, 1) }

// MostFrameChunks is how many chunks a frame may lie in that a socket with so many is to receive: they are free however much clients
// hold.
func MostFrameChunks(rxChunks int) int { return max(rxChunks/scarceShare, 1) }

func newReceiver(q *Queue, sock xdp.Queue) *receiver {
	u := sock.UMEM()
	n := u.RxChunks()
	r := &receiver{
		queue: q, sock: sock, umem: u, base: u.TxChunks(), ring: sock.RX(), fill: sock.Fill(),
		slots: make([]slot, n), back: make([]uint64, 0, n), dropped: make([]uint64, 0, batchFrames),
	}
	r.duty = NewDuty(r, &q.intake.Hub.ByCaller)
	r.out.Duty = r.duty
	datagrams := make([]wsk.Datagram, n)
	for i := range r.slots {
		r.slots[i].d, r.slots[i].addr = &datagrams[i], u.Addr(r.base+i)
	}
	return r
}

// loop is the goroutine of the socket. It ends when the socket is stopped.
func (r *receiver) loop() {
	hub := r.queue.intake.Hub
	defer keepTo(hub.CPUs, r.queue.id, hub.Log)()
	r.duty.Run()
}

// Round implements Source.
func (r *receiver) Round(a *Attendant) (more bool) {
	hub := r.queue.intake.Hub
	if !r.out.IsEmpty() { // an attendant has left it
		r.out.Flush()
		r.refill(false)
	}
	n, ok := r.look()
	switch {
	case !ok:
		return false
	case n > 0:
		a.Deliver(&r.out, int(n))
		r.refill(false)
		r.meter.frames += uint64(n)
	case hub.BusyPoll > 0:
		r.refill(false)
		r.sock.WakeRX() // runs the driver's poll on this thread
		runtime.Gosched()
	case r.meter.linger(r.ready, hub.Processors == 1):
	default:
		r.refill(true)
		return r.sleep(a)
	}
	return true
}

// sleep waits until there is something for look to do.
func (r *receiver) sleep(a *Attendant) (more bool) {
	if !a.MayWait() {
		return true
	}
	defer a.Waited()
	return r.wait.Wait(r.ready)
}

// Interrupt implements Source.
func (r *receiver) Interrupt() { r.wait.Interrupt() }

// MayAttend implements Source: a caller who has other things to do does not read what comes for others, nor where the user
// has said who reads, and how.
func (r *receiver) MayAttend(own *Sink) bool {
	hub := r.queue.intake.Hub
	return hub.single.Load() == own && hub.BusyPoll == 0 && len(hub.CPUs) == 0
}

// ready reports whether there is something for look to do.
func (r *receiver) ready() bool {
	r.queue.ringMu.Lock()
	defer r.queue.ringMu.Unlock()
	if r.stopped {
		return true
	}
	_, n := r.ring.Peek(1)
	return n > 0
}

// look takes a batch of frames off the ring and sorts them into out; ok is false when the socket has been stopped.
func (r *receiver) look() (n uint32, ok bool) {
	r.queue.ringMu.Lock()
	defer r.queue.ringMu.Unlock()
	if r.stopped {
		return 0, false
	}
	first, n := r.ring.Peek(batchFrames)
	if n == 0 {
		return 0, true
	}
	free := r.borrow(int(n))
	b := batch{
		r: r, id: r.queue.intake.identity.Load(), stats: &r.queue.stats.counters,
		copy: r.scarce(free, scarceShare),
	}
	for i := range n {
		b.take(r.ring.At(first + i))
	}
	r.ring.Release(n)
	r.giveBackDropped(b.foreign)
	return n, true
}

// borrow counts a batch as lent and returns how many chunks are left to the kernel.
func (r *receiver) borrow(n int) (free int) {
	r.fillMu.Lock()
	defer r.fillMu.Unlock()
	r.asleep = false
	r.lent += n
	return len(r.slots) - r.lent
}

// giveBackDropped returns the chunks of a batch that nobody gets; foreign descriptors named none. ringMu is held, so
// the socket is not closed.
func (r *receiver) giveBackDropped(foreign int) {
	if len(r.dropped) == 0 && foreign == 0 {
		return
	}
	r.fillMu.Lock()
	r.lent -= len(r.dropped) + foreign
	r.back = append(r.back, r.dropped...)
	r.fillMu.Unlock()
	r.dropped = r.dropped[:0]
}

// refill puts what came back into the fill ring. With asleep set, the goroutine that gives a chunk back later does it.
func (r *receiver) refill(asleep bool) {
	r.fillMu.Lock()
	r.asleep = asleep
	wake := !r.closed && r.refillLocked()
	r.fillMu.Unlock()
	if wake {
		r.sock.WakeRX()
	}
}

// refillLocked hands chunks to the kernel and reports whether the kernel wants to be told.
func (r *receiver) refillLocked() (wake bool) {
	if len(r.back) == 0 {
		return false
	}
	first, n := r.fill.Reserve(uint32(len(r.back)))
	for i := range n {
		r.fill.Set(first+i, r.back[i])
	}
	r.fill.Submit(n)
	r.back = r.back[:copy(r.back, r.back[n:])]
	return r.fill.NeedWakeup()
}

// frames is how many frames end in the ring.
func (r *receiver) frames() (n uint64) {
	first, descs := r.ring.Peek(uint32(r.ring.Size()))
	for i := range descs {
		if r.ring.At(first+i).Options&xdp.DescContinued == 0 {
			n++
		}
	}
	return n
}

// stop ends the use of rings and, when nothing is lent, of the memory. The goroutine ends soon; it is not waited for,
// because it may be in a client's callback, perhaps in the very one that leads here.
func (r *receiver) stop() error {
	r.queue.ringMu.Lock()
	r.stopped = true
	left := r.frames()
	r.queue.stats.abandoned += left
	r.queue.intake.Hub.abandoned.Add(left)
	r.queue.ringMu.Unlock()
	r.wait.End()
	r.fillMu.Lock()
	r.closed = true
	lent := r.lent
	r.fillMu.Unlock()
	if d, ok := r.sock.(detachable); ok && lent > 0 {
		return d.Detach()
	}
	return r.sock.Close()
}
