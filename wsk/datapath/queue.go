// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"log/slog"
	"math/rand/v2"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// queue is one queue of a device: an AF_XDP socket, the chunks in it, and the operations they carry. Where the device receives,
// rx is the other half of the same socket.
//
// Two locks (internal/locks), always taken in this order, and neither held over a completion routine:
//
//	kickMu  whoever holds it kicks the kernel and reads the completion ring. It is only ever tried on the send path: who
//	        finds it taken leaves a note (again) and goes, and the holder does the work for both. Kick and
//	        harvest are under one lock so that EBUSY can be pinned on the right descriptor.
//	mu      the chunk pool, the slot table, the producer side of the TX ring and the waiting list. Held for the
//	        building of a frame, and over a system call only where a repair begins to receive.
type queue struct {
	host   *sendHost
	dev    sendDevice
	id     int
	log    *slog.Logger
	rx     receiveHalf // nil on a queue that only sends
	reopen func() (xdp.Queue, error)
	prover offload.Prover
	poll   poller // read by every send, written when the gear changes
	tails  *tailWatcher

	_ [64]byte // what senders write, what the kicker writes and what completions write lies on lines of their own

	mu          lockrank.Mutex[locks.QueueMu]
	sock        xdp.Queue // replaced only with kickMu held as well
	tx          *xdp.TxRing
	umem        *xdp.UMEM
	slots       []slot   // by chunk
	free        []uint32 // LIFO, so that a hot chunk is used again first
	waiting     ops.List // accepted, not yet (or not wholly) in the ring
	inflight    int      // chunks with the kernel, or about to be
	newest      uint32   // the last descriptor, in the order of the ring, that came back
	unpublished uint32   // descriptors in the ring that the kernel has not been told of
	offload     uint32   // the grant of the socket, see prover
	state       queueState
	gone        wsk.NTSTATUS // what a closed queue answers
	ipID        uint16
	wasDown     bool // the link was down when the socket broke
	withdraw    bool // descriptors in the ring belong to operations that were cancelled
	stats       queueStats

	_ [64]byte

	kickMu    lockrank.Mutex[locks.KickMu]
	again     atomic.Bool
	driving   atomic.Bool // somebody is in turn, for the poller to see
	cq        *xdp.CompletionRing
	meter     loadMeter
	out       bool // the socket is closed: rings and chunks are not to be touched
	complaint complaint
	// zeroCopy is what the socket was granted; it decides what a kick means.
	zeroCopy bool
	invalid  uint64 // the kernel's invalid descriptor counter when last looked at

	_ [64]byte

	done ops.Completions

	_ [64]byte

	tail tailState // the tail watcher's
}

// slot is what a chunk with the kernel carries. addr is the address that was posted, whose low bits change from one use of
// the chunk to the next: a completion that names an earlier use is recognised as foreign.
type slot struct {
	op   *wsk.SendOp
	addr uint64
	base uint64       // the lowest address of the chunk
	at   uint32       // its descriptor in the TX ring
	fate wsk.NTSTATUS // set when the kernel said that it dropped this frame
}

type queueState uint8

const (
	queueUp     queueState = iota
	queueDown              // the link is administratively down: nothing new enters the ring
	queueBroken            // the socket is being replaced
	queueGone              // closed for good
)

// generations is the number of different addresses a chunk's frames start at, generationStep bytes apart.
const (
	generations    = 8
	generationStep = 8
	generationRoom = generations * generationStep
)

const harvestBatch = 256

// openQueue opens the AF_XDP socket of a queue by means of open, which is kept for the time when the socket has to be
// replaced, and starts the poller. rx is the receiving half of the queue, nil where there is none.
func openQueue(h *sendHost, dev sendDevice, id int, rx receiveHalf, open func() (xdp.Queue, error)) (*queue, error) {
	sock, err := open()
	if err != nil {
		return nil, err
	}
	q := newQueue(h, dev, id, sock)
	q.rx = rx
	q.startRX(sock)
	q.reopen = open
	q.kickMu.Lock()
	q.noticeLink()
	q.kickMu.Unlock() // nobody has left a note yet
	h.GoRun(q.pollLoop)
	return q, nil
}

// newQueue makes a queue over a socket, or over what plays one in a test. Its poller is not started.
func newQueue(h *sendHost, dev sendDevice, id int, sock xdp.Queue) *queue {
	q := &queue{host: h, dev: dev, id: id, log: h.log, tails: &h.tails, ipID: uint16(rand.Uint32())}
	q.poll.init()
	q.adopt(sock)
	return q
}

// adopt takes a fresh socket. Nobody else can see q, or the caller holds kickMu and mu.
func (q *queue) adopt(sock xdp.Queue) {
	q.sock, q.tx, q.cq, q.umem = sock, sock.TX(), sock.Completion(), sock.UMEM()
	// Never more chunks than the ring has room for: a chunk in hand is then a slot in hand.
	n := min(q.umem.TxChunks(), q.tx.Size()-1)
	if len(q.slots) != n {
		q.slots = make([]slot, n)
		q.free = make([]uint32, 0, n)
	}
	q.free = q.free[:0]
	for i := n - 1; i >= 0; i-- {
		s := &q.slots[i]
		s.op, s.fate, s.base = nil, 0, q.umem.Addr(i)
		if s.addr-s.base >= generationRoom {
			s.addr = s.base // another UMEM, or the first
		}
		q.free = append(q.free, uint32(i))
	}
	q.inflight, q.unpublished, q.invalid, q.withdraw = 0, 0, 0, false
	q.newest = q.tx.Producer() - 1
	q.offload = q.prover.Adopt(sock.Granted())
	q.state, q.out = queueUp, false
	q.zeroCopy = sock.Granted().Mode == xdp.ModeZeroCopy
}

// capacity is the longest frame a chunk holds, whatever its generation.
func (q *queue) capacity() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.umem.FrameSize() - generationRoom
}

// send takes an operation whose way is known. It is the send path: everything that can go now is built and published,
// and the rest waits in order.
func (q *queue) send(op *wsk.SendOp, f *flow, p *path) {
	q.mu.Lock()
	due := true
	if q.state != queueUp || q.waiting.Head != nil || !q.post(op, f, p) {
		q.park(op, f)
	} else if q.poll.highGear() {
		due = q.unpublished >= loadBurst
	}
	q.mu.Unlock()
	if due {
		q.drive()
	} else if q.tails.dozing.Load() {
		q.tails.wake()
	}
}

// park puts an operation on the waiting list, or ends it where waiting makes no sense. mu is held.
func (q *queue) park(op *wsk.SendOp, f *flow) {
	t := &op.Transport
	switch {
	case t.Status != wsk.STATUS_SUCCESS:
		q.abandon(op, t.Status)
		return
	case q.state == queueGone:
		q.abandon(op, q.gone)
		return
	case f.src.aborted.Load() || !op.ArmCancel(q):
		q.abandon(op, wsk.STATUS_CANCELLED)
		return
	}
	t.Via = f
	q.waiting.PushBack(op)
	q.stats.parked++
}

// abandon builds no further frame for an operation and ends it when none is under way. mu is held; op is on no list
// and not armed.
func (q *queue) abandon(op *wsk.SendOp, status wsk.NTSTATUS) {
	t, pr := &op.Transport, progressOf(op)
	if t.Status == wsk.STATUS_SUCCESS {
		t.Status = status
	}
	pr.built = true
	if pr.frames == 0 {
		q.finish(op)
	}
}

// finish hands an operation to the trampoline. Any lock may be held; whoever holds one calls runDone after letting go.
func (q *queue) finish(op *wsk.SendOp) {
	var one ops.List
	one.PushBack(op)
	q.done.Add(&one)
}

// refill posts what waits, in order, as far as chunks reach. mu is held.
func (q *queue) refill() {
	for q.state == queueUp {
		op := q.waiting.Head
		if op == nil {
			return
		}
		if !op.DisarmCancel() {
			// Its canceller is on the way to take this lock and owns it; unlinked, it holds nobody up.
			q.waiting.Remove(op)
			q.expect(op)
			continue
		}
		f := op.Transport.Via.(*flow)
		p := f.path.Load()
		if p == nil || p.queue != q {
			// The way changed while it waited. What was not begun starts again; what was goes on failing.
			q.waiting.Remove(op)
			q.reroute(op, f)
			continue
		}
		if q.post(op, f, p) {
			q.waiting.Remove(op)
			continue
		}
		if op.Transport.Status != wsk.STATUS_SUCCESS {
			q.waiting.Remove(op)
			q.abandon(op, op.Transport.Status)
			continue
		}
		if !op.ArmCancel(q) {
			q.waiting.Remove(op)
			q.abandon(op, wsk.STATUS_CANCELLED)
			continue
		}
		return
	}
}

// reroute sends an operation back to its flow. mu is held, so the flow takes it from a goroutine of its own.
func (q *queue) reroute(op *wsk.SendOp, f *flow) {
	pr := progressOf(op)
	if pr.frames != 0 || pr.buf != 0 || pr.piece != 0 {
		q.abandon(op, wsk.STATUS_NETWORK_UNREACHABLE)
		return
	}
	if !f.admit(op) {
		q.abandon(op, wsk.STATUS_CANCELLED)
	}
}

// CancelSend implements wsk.Canceller for an operation that waits here.
func (q *queue) CancelSend(op *wsk.SendOp) {
	q.mu.Lock()
	t, pr := &op.Transport, progressOf(op)
	if t.Linked {
		q.waiting.Remove(op)
	}
	if pr.hold == holdExpected {
		pr.frames--
	}
	pr.hold = holdNone
	if q.state == queueDown && pr.frames != 0 {
		q.withdraw = true
		q.poll.wake()
	}
	q.abandon(op, wsk.STATUS_CANCELLED) // last: it may be another operation's by now
	q.mu.Unlock()
	q.runDone()
}

// abort cancels what waits here for a source. Its aborted flag is set already.
func (q *queue) abort(src *source) {
	q.mu.Lock()
	for op := q.waiting.Head; op != nil; {
		next := op.Transport.Next
		if op.Transport.Via.(*flow).src == src && op.DisarmCancel() {
			q.waiting.Remove(op)
			q.abandon(op, wsk.STATUS_CANCELLED)
		}
		op = next
	}
	if q.state == queueDown {
		q.eachPosted(func(op *wsk.SendOp) {
			if op.Transport.Via.(*flow).src == src {
				q.withdraw = true
				if op.Transport.Status == wsk.STATUS_SUCCESS {
					op.Transport.Status = wsk.STATUS_CANCELLED
				}
			}
		})
		if q.withdraw {
			q.poll.wake()
		}
	}
	q.mu.Unlock()
	q.runDone()
}
