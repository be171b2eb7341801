// SPDX-License-Identifier: Apache-2.0

package send

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

// Queue is one queue of a device: an AF_XDP socket, the chunks in it, and the operations they carry. Where the device receives,
// rx is the other half of the same socket.
//
// Two locks (internal/locks), always taken in this order, and neither held over a completion routine:
//
//	KickMu  whoever holds it kicks the kernel and reads the completion ring. It is only ever tried on the send path: who
//	        finds it taken leaves a note (again) and goes, and the holder does the work for both. Kick and
//	        harvest are under one lock so that EBUSY can be pinned on the right descriptor.
//	mu      the chunk pool, the slot table, the producer side of the TX ring and the waiting list. Held for the
//	        building of a frame, and over a system call only where a repair begins to receive.
type Queue struct {
	host   *Host
	Dev    Device
	Id     int
	log    *slog.Logger
	Rx     ReceiveHalf // nil on a queue that only sends
	Reopen func() (xdp.Queue, error)
	Prover offload.Prover
	Poll   poller // read by every send, written when the gear changes
	tails  *tailWatcher
	_      [64]byte // what senders write, what the kicker writes and what completions write lies on lines of their own

	Mu          lockrank.Mutex[locks.QueueMu]
	sock        xdp.Queue // replaced only with KickMu held as well
	Tx          *xdp.TxRing
	Umem        *xdp.UMEM
	Slots       []slot   // by chunk
	Free        []uint32 // LIFO, so that a hot chunk is used again first
	Waiting     ops.List // accepted, not yet (or not wholly) in the ring
	Inflight    int      // chunks with the kernel, or about to be
	newest      uint32   // the last descriptor, in the order of the ring, that came back
	unpublished uint32   // descriptors in the ring that the kernel has not been told of
	Offload     uint32   // the grant of the socket, see prover
	State       queueState
	gone        wsk.NTSTATUS // what a closed queue answers
	ipID        uint16
	wasDown     bool // the link was down when the socket broke
	withdraw    bool // descriptors in the ring belong to operations that were cancelled
	stats       counts

	_ [64]byte

	KickMu    lockrank.Mutex[locks.KickMu]
	again     atomic.Bool
	driving   atomic.Bool // somebody is in turn, for the poller to see
	cq        *xdp.CompletionRing
	meter     loadMeter
	Out       bool // the socket is closed: rings and chunks are not to be touched
	complaint Complaint
	// zeroCopy is what the socket was granted; it decides what a kick means.
	zeroCopy bool
	invalid  uint64 // the kernel's invalid descriptor counter when last looked at

	_ [64]byte

	done ops.Completions

	_ [64]byte

	Tail TailState // the tail watcher's
}

// slot is what a chunk with the kernel carries. addr is the address that was posted, whose low bits change from one use of
// the chunk to the next: a completion that names an earlier use is recognised as foreign.
type slot struct {
	Op   *wsk.SendOp
	addr uint64
	base uint64       // the lowest address of the chunk
	at   uint32       // its descriptor in the TX ring
	fate wsk.NTSTATUS // set when the kernel said that it dropped this frame
}

type queueState uint8

const (
	queueUp     queueState = iota
	queueDown              // the link is administratively down: nothing new enters the ring
	QueueBroken            // the socket is being replaced
	QueueGone              // closed for good
)

// generations is the number of different addresses a chunk's frames start at, generationStep bytes apart.
const (
	generations    = 8
	generationStep = 8
	GenerationRoom = generations * generationStep
)

const HarvestBatch = 256

// OpenQueue opens the AF_XDP socket of a queue by means of open, which is kept for the time when the socket has to be
// replaced, and starts the poller. rx is the receiving half of the queue, nil where there is none.
func OpenQueue(h *Host, dev Device, id int, rx ReceiveHalf, open func() (xdp.Queue, error)) (*Queue, error) {
	sock, err := open()
	if err != nil {
		return nil, err
	}
	q := newQueue(h, dev, id, sock)
	q.Rx = rx
	q.startRX(sock)
	q.Reopen = open
	q.KickMu.Lock()
	q.noticeLink()
	q.KickMu.Unlock() // nobody has left a note yet
	h.GoRun(q.pollLoop)
	return q, nil
}

// newQueue makes a queue over a socket, or over what plays one in a test. Its poller is not started.
func newQueue(h *Host, dev Device, id int, sock xdp.Queue) *Queue {
	q := &Queue{host: h, Dev: dev, Id: id, log: h.Log, tails: &h.Tails, ipID: uint16(rand.Uint32())}
	q.Poll.init()
	q.adopt(sock)
	return q
}

// adopt takes a fresh socket. Nobody else can see q, or the caller holds KickMu and mu.
func (q *Queue) adopt(sock xdp.Queue) {
	q.sock, q.Tx, q.cq, q.Umem = sock, sock.TX(), sock.Completion(), sock.UMEM()
	// Never more chunks than the ring has room for: a chunk in hand is then a slot in hand.
	n := min(q.Umem.TxChunks(), q.Tx.Size()-1)
	if len(q.Slots) != n {
		q.Slots = make([]slot, n)
		q.Free = make([]uint32, 0, n)
	}
	q.Free = q.Free[:0]
	for i := n - 1; i >= 0; i-- {
		s := &q.Slots[i]
		s.Op, s.fate, s.base = nil, 0, q.Umem.Addr(i)
		if s.addr-s.base >= GenerationRoom {
			s.addr = s.base // another UMEM, or the first
		}
		q.Free = append(q.Free, uint32(i))
	}
	q.Inflight, q.unpublished, q.invalid, q.withdraw = 0, 0, 0, false
	q.newest = q.Tx.Producer() - 1
	q.Offload = q.Prover.Adopt(sock.Granted())
	q.State, q.Out = queueUp, false
	q.zeroCopy = sock.Granted().Mode == xdp.ModeZeroCopy
}

// capacity is the longest frame a chunk holds, whatever its generation.
func (q *Queue) capacity() int {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	return q.Umem.FrameSize() - GenerationRoom
}

// send takes an operation whose way is known. It is the send path: everything that can go now is built and published,
// and the rest waits in order.
func (q *Queue) send(op *wsk.SendOp, f *Flow, p *Path) {
	q.Mu.Lock()
	due := true
	if q.State != queueUp || q.Waiting.Head != nil || !q.post(op, f, p) {
		q.park(op, f)
	} else if q.Poll.HighGear() {
		due = q.unpublished >= LoadBurst
	}
	q.Mu.Unlock()
	if due {
		q.Drive()
	} else if q.tails.Dozing.Load() {
		q.tails.wake()
	}
}

// park puts an operation on the waiting list, or ends it where waiting makes no sense. mu is held.
func (q *Queue) park(op *wsk.SendOp, f *Flow) {
	t := &op.Transport
	switch {
	case t.Status != wsk.STATUS_SUCCESS:
		q.abandon(op, t.Status)
		return
	case q.State == QueueGone:
		q.abandon(op, q.gone)
		return
	case f.src.Aborted.Load() || !op.ArmCancel(q):
		q.abandon(op, wsk.STATUS_CANCELLED)
		return
	}
	t.Via = f
	q.Waiting.PushBack(op)
	q.stats.parked++
}

// abandon builds no further frame for an operation and ends it when none is under way. mu is held; op is on no list
// and not armed.
func (q *Queue) abandon(op *wsk.SendOp, status wsk.NTSTATUS) {
	t, pr := &op.Transport, progressOf(op)
	if t.Status == wsk.STATUS_SUCCESS {
		t.Status = status
	}
	pr.built = true
	if pr.frames == 0 {
		q.finish(op)
	}
}

// finish hands an operation to the trampoline. Any lock may be held; whoever holds one calls RunDone after letting go.
func (q *Queue) finish(op *wsk.SendOp) {
	var one ops.List
	one.PushBack(op)
	q.done.Add(&one)
}

// Refill posts what waits, in order, as far as chunks reach. mu is held.
func (q *Queue) Refill() {
	for q.State == queueUp {
		op := q.Waiting.Head
		if op == nil {
			return
		}
		if !op.DisarmCancel() {
			// Its canceller is on the way to take this lock and owns it; unlinked, it holds nobody up.
			q.Waiting.Remove(op)
			q.expect(op)
			continue
		}
		f := op.Transport.Via.(*Flow)
		p := f.Path.Load()
		if p == nil || p.Queue != q {
			// The way changed while it waited. What was not begun starts again; what was goes on failing.
			q.Waiting.Remove(op)
			q.reroute(op, f)
			continue
		}
		if q.post(op, f, p) {
			q.Waiting.Remove(op)
			continue
		}
		if op.Transport.Status != wsk.STATUS_SUCCESS {
			q.Waiting.Remove(op)
			q.abandon(op, op.Transport.Status)
			continue
		}
		if !op.ArmCancel(q) {
			q.Waiting.Remove(op)
			q.abandon(op, wsk.STATUS_CANCELLED)
			continue
		}
		return
	}
}

// reroute sends an operation back to its flow. mu is held, so the flow takes it from a goroutine of its own.
func (q *Queue) reroute(op *wsk.SendOp, f *Flow) {
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
func (q *Queue) CancelSend(op *wsk.SendOp) {
	q.Mu.Lock()
	t, pr := &op.Transport, progressOf(op)
	if t.Linked {
		q.Waiting.Remove(op)
	}
	if pr.hold == holdExpected {
		pr.frames--
	}
	pr.hold = holdNone
	if q.State == queueDown && pr.frames != 0 {
		q.withdraw = true
		q.Poll.Wake()
	}
	q.abandon(op, wsk.STATUS_CANCELLED) // last: it may be another operation's by now
	q.Mu.Unlock()
	q.RunDone()
}

// Abort cancels what waits here for a source. Its aborted flag is set already.
func (q *Queue) Abort(src *Source) {
	q.Mu.Lock()
	for op := q.Waiting.Head; op != nil; {
		next := op.Transport.Next
		if op.Transport.Via.(*Flow).src == src && op.DisarmCancel() {
			q.Waiting.Remove(op)
			q.abandon(op, wsk.STATUS_CANCELLED)
		}
		op = next
	}
	if q.State == queueDown {
		q.eachPosted(func(op *wsk.SendOp) {
			if op.Transport.Via.(*Flow).src == src {
				q.withdraw = true
				if op.Transport.Status == wsk.STATUS_SUCCESS {
					op.Transport.Status = wsk.STATUS_CANCELLED
				}
			}
		})
		if q.withdraw {
			q.Poll.Wake()
		}
	}
	q.Mu.Unlock()
	q.RunDone()
}
