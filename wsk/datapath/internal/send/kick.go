// SPDX-License-Identifier: Apache-2.0

package send

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

// Drive sees to it that everything built so far leaves: at once by this goroutine, or by whoever is at it already. It
// then runs the completion routines of what came back. No lock is held.
func (q *Queue) Drive() {
	for {
		if !q.KickMu.TryLock() {
			q.again.Store(true)
			if !q.KickMu.TryLock() {
				return
			}
		}
		q.again.Store(false)
		q.driving.Store(true)
		left := q.turn()
		q.driving.Store(false)
		if !q.Poll.HighGear() && q.loaded() {
			q.tails.Add(q)
		}
		if left {
			q.leave()
		}
		q.KickMu.Unlock()
		if !q.again.Load() {
			break
		}
	}
	q.RunDone()
}

// UnlockKick lets go of the right to kick for everybody but drive, and passes on what senders have left meanwhile. The poller
// looks at it by itself. On a queue that has ended the poller is no more, and the caller may be one that must not run
// completion routines.
func (q *Queue) UnlockKick() {
	q.KickMu.Unlock()
	switch {
	case !q.again.Load():
	case q.Poll.Ended.Load():
		q.host.GoRun(q.Drive)
	default:
		q.Poll.Wake()
	}
}

// leave hands what a turn has left to whoever looks after the queue.
func (q *Queue) leave() {
	switch {
	case q.Out: // the poller asks for another socket in its own time
	case !q.Poll.HighGear():
		q.Poll.Wake()
	case q.tails.Dozing.Load():
		q.tails.wake()
	}
}

// RunDone runs completion routines, within a budget; the poller gets the rest. No lock is held.
func (q *Queue) RunDone() {
	if !q.done.Run(ops.RoutineBudget) {
		return
	}
	if q.Poll.Ended.Load() {
		q.host.GoRun(q.drainDone)
		return
	}
	q.Poll.Wake()
}

// turn kicks and harvests until nothing moves any more, and reports whether something is left for the poller to look
// after. KickMu is held.
func (q *Queue) turn() (left bool) {
	q.publishAll()
	for range turnRounds {
		moved := q.kick()
		if q.Harvest() == 0 && !moved {
			break
		}
		if q.Tx.Pending() == 0 && !q.outstanding() {
			return false
		}
	}
	return q.outstanding()
}

// publishAll is publishLocked for who does not hold mu.
func (q *Queue) publishAll() {
	q.Mu.Lock()
	q.publishLocked()
	q.Mu.Unlock()
}

// outstanding reports whether chunks are with the kernel or operations wait for some.
func (q *Queue) outstanding() bool {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	return q.Inflight != 0 || q.Waiting.Head != nil || q.State == QueueBroken
}

// kick makes the kernel transmit and deals with what it says. It reports whether the kernel consumed descriptors. KickMu is
// held.
func (q *Queue) kick() (moved bool) {
	published, before := q.Tx.Producer(), q.Tx.Consumer()
	if published == before || q.Out {
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
// it. It reports whether the kernel consumed descriptors. KickMu is held since.
func (q *Queue) kicked(errno syscall.Errno, published, before uint32) (moved bool) {
	after := q.Tx.Consumer()
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
		q.GiveUp(wsk.STATUS_FILE_FORCED_CLOSED)
	case xdp.KickBadDescriptor:
		after = q.refused()
		if q.metadataRefused(after) {
			q.Breakdown("the kernel refuses TX metadata: "+errno.Error(), wsk.STATUS_IO_TIMEOUT)
			break
		}
		q.pin(after, wsk.STATUS_INTERNAL_ERROR)
		q.Breakdown("the kernel refuses a descriptor: "+errno.Error(), wsk.STATUS_IO_TIMEOUT)
	default:
		q.Breakdown("kick: "+errno.Error(), wsk.STATUS_IO_TIMEOUT)
	}
	return after != before
}

// consumed is the index of the first descriptor that the kernel has not consumed, by its own word and by the completions that
// are there: a frame that was dropped is among them, and nothing behind it can be. Linux 5.10 to 6.16, and 6.18.15 after a kick
// that sent nothing, give their word late (see xdp.TxRing.Completed). KickMu is held.
func (q *Queue) consumed() uint32 {
	first, n := q.cq.Peek(uint32(q.cq.Size()))
	q.Mu.Lock()
	defer q.Mu.Unlock()
	for i := range n {
		if s := q.slotOf(q.cq.At(first + i)); s != nil {
			q.Tx.Completed(s.at)
		}
	}
	return q.Tx.Consumer()
}

// refused is the index of the descriptor that the kernel has just refused with EINVAL. Some kernels put its address on the
// completion ring each time they do, as if it had been sent: so they are asked again, and what then comes is that and nothing
// else. KickMu is held.
func (q *Queue) refused() uint32 {
	_, before := q.cq.Peek(uint32(q.cq.Size()))
	lockrank.AssertMay(locks.Kick, "a kick")
	q.sock.Kick()
	first, after := q.cq.Peek(uint32(q.cq.Size()))
	if after == before {
		return q.consumed()
	}
	q.Mu.Lock()
	defer q.Mu.Unlock()
	s := q.slotOf(q.cq.At(first + after - 1))
	if s == nil {
		return q.Tx.Consumer()
	}
	q.Tx.Completed(s.at - 1)
	return s.at
}

// slotOf is the slot of a frame under way by the address that was posted, nil if that names none. mu is held.
func (q *Queue) slotOf(addr uint64) *slot {
	chunk, ok := q.Umem.Index(addr)
	if !ok || chunk >= len(q.Slots) || q.Slots[chunk].Op == nil || q.Slots[chunk].addr != addr {
		return nil
	}
	return &q.Slots[chunk]
}

// pin records the fate of the frame whose descriptor is at idx: its completion, when it comes, is a failure.
func (q *Queue) pin(idx uint32, fate wsk.NTSTATUS) {
	d := q.Tx.At(idx)
	q.Mu.Lock()
	defer q.Mu.Unlock()
	s := q.slotOf(d.Addr)
	if s == nil {
		q.stats.unpinned++
		return
	}
	s.fate = fate
	q.stats.dropped++
}

// dropStatus names the reason why the device dropped a frame: EBUSY says only that it did.
func (q *Queue) dropStatus() wsk.NTSTATUS {
	if q.Dev.HasCarrier() {
		return wsk.STATUS_NETWORK_BUSY
	}
	return wsk.STATUS_NETWORK_UNREACHABLE
}

// checkInvalid is called when a kick ended without an error before the ring was empty, which a descriptor that the
// kernel finds invalid does. That would be our bug; its completion must not pass for a datagram sent.
func (q *Queue) checkInvalid(after uint32) {
	lockrank.AssertMay(locks.Ask, "to read what the kernel counts")
	st, err := q.sock.Statistics()
	if err != nil || st.TxInvalidDescs == q.invalid {
		return
	}
	q.invalid = st.TxInvalidDescs
	q.log.Error("the kernel found a descriptor invalid; please report this", "interface", q.Dev.Name(), "queue", q.Id,
		"desc", q.Tx.At(after-1))
	q.pin(after-1, wsk.STATUS_INTERNAL_ERROR)
}

// Harvest reads the completion ring: chunks go back to the pool, operations whose last frame is back to the trampoline,
// and what waits for chunks is posted. It returns the number of completions. KickMu is held.
func (q *Queue) Harvest() int {
	if q.Out {
		return 0
	}
	first, n := q.cq.Peek(HarvestBatch)
	if n == 0 {
		return 0
	}
	var done ops.List
	q.Mu.Lock()
	for i := range n {
		q.complete(q.cq.At(first+i), &done)
	}
	q.cq.Release(n)
	q.Tx.Completed(q.newest) // before refill: some kernels do not tell that there is room
	q.Refill()
	q.Mu.Unlock()
	q.done.Add(&done)
	return int(n)
}

// harvestAll is harvest for a socket that goes: whatever has come back by now was sent. KickMu is held.
func (q *Queue) harvestAll() {
	if q.Out {
		return
	}
	for range q.cq.Size()/HarvestBatch + 1 {
		q.Harvest()
	}
}

// complete takes one completion. What does not name a frame that was posted and has not come back is counted, never trusted. mu is held.
func (q *Queue) complete(addr uint64, done *ops.List) {
	chunk, ok := q.Umem.Index(addr)
	if !ok || chunk >= len(q.Slots) || q.Slots[chunk].Op == nil || q.Slots[chunk].addr != addr {
		q.stats.foreign++
		return
	}
	s := &q.Slots[chunk]
	op, fate := s.Op, s.fate
	s.Op, s.fate = nil, wsk.STATUS_SUCCESS
	if int32(s.at-q.newest) > 0 {
		q.newest = s.at
	}
	q.Free = append(q.Free, uint32(chunk))
	q.Inflight--
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
