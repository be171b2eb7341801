// SPDX-License-Identifier: Apache-2.0

package send

import (
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// The way of an operation through a queue:
//
//  1. The flow of its destination hands it over (send). Flows and their paths are in flow.go and resolve.go.
//  2. Its frames are built in chunks, straight from the client's MDL chains (build.go), and described in the TX ring
//     (producer.go). What finds no chunk, or a link that is down, is parked on the waiting list.
//  3. Whoever gets the right to kick drives the queue for all (kick.go): it publishes what was built,
//  4. kicks the kernel,
//  5. harvests the completion ring: each chunk goes back to the pool, and an operation whose last frame is back to the
//     trampoline,
//  6. refills the TX ring from the waiting list, and goes back to 3 until nothing moves any more.
//  7. With no lock held, it runs the completion routines of what has ended.
//
// Under load, 3 to 7 are done once for a burst (load.go, tailwatch.go). What is left over the queue's poller looks after
// (poller.go).

// Queue is one queue of a device: an AF_XDP socket, the chunks in it, and the operations they carry. Where the device receives,
// rx is the other half of the same socket.
//
// Two locks (internal/locks), always taken in this order, and neither held over a completion routine:
//
//	kickMu  is the right to kick the kernel and to read the completion ring. On the send path it is only ever tried: a
//	        sender that finds it taken leaves a note (again) and goes, and the holder does the work for both. Kick and
//	        harvest are under one lock so that EBUSY can be pinned on the right descriptor.
//	mu      guards the chunks, the producer's side of the TX ring and the waiting list. It is held while a frame is
//	        built.
type Queue struct {
	host   *Host
	dev    Device
	id     int
	log    *slog.Logger
	rx     ReceiveHalf
	reopen func() (xdp.Queue, error)
	prover offload.Prover
	poll   poller // read by every send, written when the gear changes
	tails  *tailWatcher

	_ [64]byte // what senders write, what the kicker writes and what completions write lies on lines of their own

	mu       lockrank.Mutex[locks.QueueMu]
	sock     xdp.Queue // replaced only with kickMu held as well
	tx       producer
	waiting  ops.List // accepted, not yet (or not wholly) in the ring
	state    queueState
	gone     wsk.NTSTATUS // what a closed queue answers
	wasDown  bool         // the link was down when the socket broke
	withdraw bool         // descriptors in the ring belong to operations that were cancelled
	retryAt  time.Time    // a broken queue gets no new socket before

	_ [64]byte

	kickMu    lockrank.Mutex[locks.KickMu]
	again     note
	driving   atomic.Bool // somebody drives, for the poller to see
	cq        *xdp.CompletionRing
	meter     loadMeter
	closed    bool // the socket: rings and chunks are not to be touched
	complaint complaint
	// zeroCopy is what the socket was granted; it decides what a kick means.
	zeroCopy  bool
	fruitless int    // kicks in a row that failed for no reason that passes, with no completion in between
	proven    proven // what of its descriptors the kernel takes

	_ [64]byte

	done ops.Completions

	_ [64]byte

	tail tailState // the tail watcher's
}

type queueState uint8

const (
	queueUp     queueState = iota
	queueDown              // the link is administratively down: nothing new enters the ring
	queueBroken            // the socket is being replaced
	queueGone              // closed for good
)

// OpenQueue opens the AF_XDP socket of a queue by means of open, which is kept for the time when the socket has to be
// replaced, and starts the poller. rx is the receiving half of the queue, nil where there is none.
func OpenQueue(h *Host, dev Device, id int, rx ReceiveHalf, open func() (xdp.Queue, error)) (*Queue, error) {
	sock, err := open()
	if err != nil {
		return nil, err
	}
	if rx == nil {
		rx = sendOnly{}
	}
	q := &Queue{host: h, dev: dev, id: id, log: h.Log, rx: rx, reopen: open, tails: &h.Tails}
	q.tx.dev, q.tx.ipID = dev, uint16(rand.Uint32())
	q.poll.init(q)
	q.use(sock)
	q.startRX(sock)
	q.kickMu.Lock()
	q.noticeLink()
	q.kickMu.Unlock() // nobody has left a note yet
	h.GoRun(q.poll.loop)
	return q, nil
}

// use takes a fresh socket into service. Nobody else can see q, or the caller holds kickMu and mu.
func (q *Queue) use(sock xdp.Queue) {
	q.sock, q.cq = sock, sock.Completion()
	q.tx.reset(sock)
	q.tx.offload = q.prover.Adopt(sock.Granted())
	q.proven, q.withdraw = proven{}, false
	q.state, q.closed = queueUp, false
	q.zeroCopy = sock.Granted().Mode == xdp.ModeZeroCopy
}

// Ended reports whether the queue is gone, and everything that it had has ended.
func (q *Queue) Ended() bool { return q.poll.ended.Load() }

// limits are the longest frame that the queue can send, and the longest that it can send in one chunk.
func limits(q *Queue) (frame, chunk int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tx.limits()
}

// send takes an operation whose way is known. It is the send path: everything that can go now is built, and the rest waits
// in order. In the low gear it takes the right to kick first, where nobody has it, and publishes at once what it builds. It takes
// nothing, and says so, of a flow that has left the queue with all that it had here: this one would be left behind.
func (q *Queue) send(op *wsk.SendOp, f *Flow, p *Path) (taken bool) {
	driving := !q.poll.highGear() && q.kickMu.TryLock()
	if driving {
		q.again.take()
	}
	q.mu.Lock()
	due := true
	op.Transport.Via = f
	if !f.leads(p, q) {
		due = false
	} else if taken = true; q.state != queueUp || q.waiting.Head != nil || !q.tx.build(op, &p.layout) {
		q.park(op)
	} else if q.poll.highGear() {
		due = q.tx.unpublished >= loadBurst
	}
	if driving {
		q.tx.publish()
	}
	q.mu.Unlock()
	switch {
	case driving && !q.driveOn():
		q.complete()
	case driving, due:
		q.drive()
	case taken && q.tails.dozing.Load():
		q.tails.wake()
	}
	return taken
}

// park puts an operation on the waiting list, or ends it where waiting makes no sense. mu is held.
func (q *Queue) park(op *wsk.SendOp) {
	t := &op.Transport
	switch {
	case t.Status != wsk.STATUS_SUCCESS:
		q.abandon(op, t.Status)
		return
	case q.state == queueGone:
		q.abandon(op, q.gone)
		return
	case !mayWait(op, q):
		q.abandon(op, wsk.STATUS_CANCELLED)
		return
	}
	q.waiting.PushBack(op)
	q.tx.stats.parked++
	parked(op, q.state == queueDown)
}

// abandon builds no further frame for an operation and hands it to the trampoline when nothing else holds it. mu is held,
// and the caller completes after letting go of it (complete); op is on no list and not armed.
func (q *Queue) abandon(op *wsk.SendOp, status wsk.NTSTATUS) {
	ending(op, status)
	pr := progressOf(op)
	pr.built = true
	if !pr.held() {
		var one ops.List
		one.PushBack(op)
		q.done.Add(&one)
	}
}

// refill builds what waits, in order, as far as chunks reach. mu is held.
func (q *Queue) refill() {
	for q.state == queueUp {
		op := q.waiting.Head
		if op == nil {
			return
		}
		if !op.DisarmCancel() {
			// Its canceller is on the way to take this lock and owns it; unlinked, it holds nobody up.
			q.waiting.Remove(op)
			progressOf(op).canceller = cancellerComing
			continue
		}
		f, p := onward(op, q)
		if p == nil {
			// The flow has no way through here any more. What was not begun starts again; what was goes on failing.
			q.waiting.Remove(op)
			q.reroute(op, f)
			continue
		}
		if q.tx.build(op, &p.layout) {
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

// reroute sends an operation back to its flow, and with it what waits behind it for the same. mu is held, so the flow takes it from a
// goroutine of its own.
func (q *Queue) reroute(op *wsk.SendOp, f *Flow) {
	if progressOf(op).begun() {
		q.abandon(op, wsk.STATUS_NETWORK_UNREACHABLE)
		return
	}
	if status := f.readmit(op, q); status != wsk.STATUS_PENDING {
		q.abandon(op, status)
	}
}

// CancelSend implements wsk.Canceller for an operation that waits here.
func (q *Queue) CancelSend(op *wsk.SendOp) {
	q.mu.Lock()
	pr := progressOf(op)
	if op.Transport.Linked {
		q.waiting.Remove(op)
	}
	pr.canceller = cancellerNone
	if q.state == queueDown && pr.frames != 0 {
		q.withdraw = true
		q.poll.wake()
	}
	q.abandon(op, wsk.STATUS_CANCELLED) // last: it may be another operation's by now
	q.mu.Unlock()
	q.complete()
}

// Abort cancels what waits here for a source. Its aborted flag is set already.
func (q *Queue) Abort(src *Source) {
	q.mu.Lock()
	for op := q.waiting.Head; op != nil; {
		next := op.Transport.Next
		if op.Transport.Via.(*Flow).src == src && op.DisarmCancel() {
			q.waiting.Remove(op)
			q.abandon(op, wsk.STATUS_CANCELLED)
		}
		op = next
	}
	if q.state == queueDown {
		q.tx.eachPosted(func(op *wsk.SendOp) {
			if op.Transport.Via.(*Flow).src == src {
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
	q.complete()
}

// glance is what a queue is at, at one moment.
type glance struct {
	submitted, completed uint64
	unpublished          uint32
	inflight             int
	state                queueState
}

func (q *Queue) look() glance {
	q.mu.Lock()
	defer q.mu.Unlock()
	return glanceLocked(q)
}

// glanceLocked is look for a caller that holds mu.
func glanceLocked(q *Queue) glance {
	return glance{q.tx.stats.submitted, q.tx.stats.completed, q.tx.unpublished, q.tx.inflight, q.state}
}
