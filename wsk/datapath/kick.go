// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// turnRounds bounds the kicks of one turn, so that a caller of SendTo is not kept by everybody else's datagrams.
const turnRounds = 64

// drive sees to it that everything built so far leaves: at once by this goroutine, or by whoever is at it already. It
// then runs the completion routines of what came back. No lock is held.
func (q *queue) drive() {
	for {
		if !q.kickMu.TryLock() {
			q.again.Store(true)
			if !q.kickMu.TryLock() {
				return
			}
		}
		q.again.Store(false)
		q.driving.Store(true)
		left := q.turn()
		q.driving.Store(false)
		if !q.poll.highGear() && q.loaded() {
			q.tails.add(q)
		}
		if left {
			q.leave()
		}
		q.kickMu.Unlock()
		if !q.again.Load() {
			break
		}
	}
	q.runDone()
}

// unlockKick lets go of the right to kick for everybody but drive, and passes on what senders have left meanwhile. The poller
// looks at it by itself. On a queue that has ended the poller is no more, and the caller may be one that must not run
// completion routines.
func (q *queue) unlockKick() {
	q.kickMu.Unlock()
	switch {
	case !q.again.Load():
	case q.poll.ended.Load():
		q.host.GoRun(q.drive)
	default:
		q.poll.wake()
	}
}

// leave hands what a turn has left to whoever looks after the queue.
func (q *queue) leave() {
	switch {
	case q.out: // the poller asks for another socket in its own time
	case !q.poll.highGear():
		q.poll.wake()
	case q.tails.dozing.Load():
		q.tails.wake()
	}
}

// runDone runs completion routines, within a budget; the poller gets the rest. No lock is held.
func (q *queue) runDone() {
	if !q.done.Run(ops.RoutineBudget) {
		return
	}
	if q.poll.ended.Load() {
		q.host.GoRun(q.drainDone)
		return
	}
	q.poll.wake()
}

// turn kicks and harvests until nothing moves any more, and reports whether something is left for the poller to look
// after. kickMu is held.
func (q *queue) turn() (left bool) {
	q.publishAll()
	for range turnRounds {
		moved := q.kick()
		if q.harvest() == 0 && !moved {
			break
		}
		if q.tx.Pending() == 0 && !q.outstanding() {
			return false
		}
	}
	return q.outstanding()
}

// publishAll is publishLocked for who does not hold mu.
func (q *queue) publishAll() {
	q.mu.Lock()
	q.publishLocked()
	q.mu.Unlock()
}

// outstanding reports whether chunks are with the kernel or operations wait for some.
func (q *queue) outstanding() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.inflight != 0 || q.waiting.Head != nil || q.state == queueBroken
}

// kick makes the kernel transmit and deals with what it says. It reports whether the kernel consumed descriptors. kickMu is
// held.
func (q *queue) kick() (moved bool) {
	published, before := q.tx.Producer(), q.tx.Consumer()
	if published == before || q.out {
		return false
	}
	lockrank.AssertMay(locks.Kick, "a kick")
	errno, kicked := q.sock.KickIfNeeded()
	if !kicked {
		return false
	}
	return q.kicked(errno, published, before)
}

// kicked deals with what the kernel said to a kick (design.md §3); published and before are the ends of the ring from before
// it. It reports whether the kernel consumed descriptors. kickMu is held since.
func (q *queue) kicked(errno syscall.Errno, published, before uint32) (moved bool) {
	after := q.tx.Consumer()
	if q.zeroCopy {
		q.kickedZeroCopy(errno)
		return after != before
	}
	switch xdp.ClassifyKick(errno) {
	case xdp.KickDone:
		if after == published {
			break
		}
		if after = q.consumed(); after != published && after != before {
			q.checkInvalid(after)
		}
	case xdp.KickDropped:
		after = q.consumed()
		q.pin(after-1, q.dropStatus())
	case xdp.KickLimited:
	case xdp.KickLinkDown:
		q.hold()
	case xdp.KickGone:
		q.giveUp(wsk.STATUS_FILE_FORCED_CLOSED)
	case xdp.KickBadDescriptor:
		after = q.refused()
		if q.metadataRefused(after) {
			q.breakdown("the kernel refuses TX metadata: "+errno.Error(), wsk.STATUS_IO_TIMEOUT)
			break
		}
		q.pin(after, wsk.STATUS_INTERNAL_ERROR)
		q.breakdown("the kernel refuses a descriptor: "+errno.Error(), wsk.STATUS_IO_TIMEOUT)
	default:
		q.breakdown("kick: "+errno.Error(), wsk.STATUS_IO_TIMEOUT)
	}
	return after != before
}

// consumed is the index of the first descriptor that the kernel has not consumed, by its own word and by the completions that
// are there: a frame that was dropped is among them, and nothing behind it can be. Linux 5.10 to 6.16, and 6.18.15 after a kick
// that sent nothing, give their word late (see xdp.TxRing.Completed). kickMu is held.
func (q *queue) consumed() uint32 {
	first, n := q.cq.Peek(uint32(q.cq.Size()))
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range n {
		if s := q.slotOf(q.cq.At(first + i)); s != nil {
			q.tx.Completed(s.at)
		}
	}
	return q.tx.Consumer()
}

// refused is the index of the descriptor that the kernel has just refused with EINVAL. Some kernels put its address on the
// completion ring each time they do, as if it had been sent: so they are asked again, and what then comes is that and nothing
// else. kickMu is held.
func (q *queue) refused() uint32 {
	_, before := q.cq.Peek(uint32(q.cq.Size()))
	lockrank.AssertMay(locks.Kick, "a kick")
	q.sock.Kick()
	first, after := q.cq.Peek(uint32(q.cq.Size()))
	if after == before {
		return q.consumed()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.slotOf(q.cq.At(first + after - 1))
	if s == nil {
		return q.tx.Consumer()
	}
	q.tx.Completed(s.at - 1)
	return s.at
}

// slotOf is the slot of a frame under way by the address that was posted, nil if that names none. mu is held.
func (q *queue) slotOf(addr uint64) *slot {
	chunk, ok := q.umem.Index(addr)
	if !ok || chunk >= len(q.slots) || q.slots[chunk].op == nil || q.slots[chunk].addr != addr {
		return nil
	}
	return &q.slots[chunk]
}

// pin records the fate of the frame whose descriptor is at idx: its completion, when it comes, is a failure.
func (q *queue) pin(idx uint32, fate wsk.NTSTATUS) {
	d := q.tx.At(idx)
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.slotOf(d.Addr)
	if s == nil {
		q.stats.unpinned++
		return
	}
	s.fate = fate
	q.stats.dropped++
}

// dropStatus names the reason why the device dropped a frame: EBUSY says only that it did.
func (q *queue) dropStatus() wsk.NTSTATUS {
	if q.dev.hasCarrier() {
		return wsk.STATUS_NETWORK_BUSY
	}
	return wsk.STATUS_NETWORK_UNREACHABLE
}

// checkInvalid is called when a kick ended without an error before the ring was empty, which a descriptor that the
// kernel finds invalid does. That would be our bug; its completion must not pass for a datagram sent.
func (q *queue) checkInvalid(after uint32) {
	lockrank.AssertMay(locks.Ask, "to read what the kernel counts")
	st, err := q.sock.Statistics()
	if err != nil || st.TxInvalidDescs == q.invalid {
		return
	}
	q.invalid = st.TxInvalidDescs
	q.log.Error("the kernel found a descriptor invalid; please report this", "interface", q.dev.ifname(), "queue", q.id,
		"desc", q.tx.At(after-1))
	q.pin(after-1, wsk.STATUS_INTERNAL_ERROR)
}

// harvest reads the completion ring: chunks go back to the pool, operations whose last frame is back to the trampoline,
// and what waits for chunks is posted. It returns the number of completions. kickMu is held.
func (q *queue) harvest() int {
	if q.out {
		return 0
	}
	first, n := q.cq.Peek(harvestBatch)
	if n == 0 {
		return 0
	}
	var done ops.List
	q.mu.Lock()
	for i := range n {
		q.complete(q.cq.At(first+i), &done)
	}
	q.cq.Release(n)
	q.tx.Completed(q.newest) // before refill: some kernels do not tell that there is room
	q.refill()
	q.mu.Unlock()
	q.done.Add(&done)
	return int(n)
}

// harvestAll is harvest for a socket that goes: whatever has come back by now was sent. kickMu is held.
func (q *queue) harvestAll() {
	if q.out {
		return
	}
	for range q.cq.Size()/harvestBatch + 1 {
		q.harvest()
	}
}

// complete takes one completion. What does not name a frame that was posted and has not come back is counted, never trusted. mu is held.
func (q *queue) complete(addr uint64, done *ops.List) {
	chunk, ok := q.umem.Index(addr)
	if !ok || chunk >= len(q.slots) || q.slots[chunk].op == nil || q.slots[chunk].addr != addr {
		q.stats.foreign++
		return
	}
	s := &q.slots[chunk]
	op, fate := s.op, s.fate
	s.op, s.fate = nil, wsk.STATUS_SUCCESS
	if int32(s.at-q.newest) > 0 {
		q.newest = s.at
	}
	q.free = append(q.free, uint32(chunk))
	q.inflight--
	q.stats.completed++
	t, pr := &op.Transport, progressOf(op)
	if fate != wsk.STATUS_SUCCESS && t.Status == wsk.STATUS_SUCCESS {
		t.Status = fate
	}
	if pr.frames--; pr.frames == 0 {
		// What was held may have left all the same: the driver, or a kernel that is late to say what it has consumed, had it.
		q.unarm(op)
	}
	if pr.frames == 0 && pr.built {
		done.PushBack(op)
	}
}
