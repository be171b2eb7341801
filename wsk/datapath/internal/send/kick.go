// SPDX-License-Identifier: Apache-2.0

package send

import (
	"sync/atomic"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// driveRounds bounds the kicks of one drive, so that a caller of SendTo is not kept by everybody else's datagrams.
const driveRounds = 64

// harvestBatch bounds what is taken off the completion ring at a time.
const harvestBatch = 256

// drive sees to it that everything built so far leaves: at once by this goroutine, or by whoever is at it already. It
// then completes what came back. No lock is held.
func (q *Queue) drive() {
	for {
		if !q.kickMu.TryLock() {
			q.again.leave()
			if !q.kickMu.TryLock() {
				return
			}
		}
		q.again.take()
		q.mu.Lock()
		q.tx.publish()
		q.mu.Unlock()
		if !q.driveOn() {
			q.complete()
			return
		}
	}
}

// driveOn is a drive by somebody who holds kickMu, which it lets go of, and has published everything. It reports whether a note
// was left meanwhile.
func (q *Queue) driveOn() (noted bool) {
	high := q.poll.highGear()
	if high { // in the low gear the tail watcher does not look
		q.driving.Store(true)
	}
	left := q.driveLocked()
	if high {
		q.driving.Store(false)
	} else if q.meter.isFast(q.tx.ring.Producer()) && !q.closed && q.host.useHighGear() {
		q.tails.add(q)
	}
	if left {
		q.handOver()
	}
	q.kickMu.Unlock()
	return q.again.isLeft()
}

// note is what a sender leaves for whoever holds kickMu: there is more to drive.
type note struct{ left atomic.Bool }

func (n *note) leave()       { n.left.Store(true) }
func (n *note) isLeft() bool { return n.left.Load() }

// take comes before the look at what there is to drive. kickMu is held.
func (n *note) take() {
	if n.left.Load() { // a store that changes nothing costs as much as a lock
		n.left.Store(false)
	}
}

// unlockKick lets go of the right to kick for everybody but drive, and passes on what senders have left meanwhile. The poller
// looks at it by itself. On a queue that has ended the poller is no more, and the caller may be one that must not run
// completion routines.
func (q *Queue) unlockKick() {
	q.kickMu.Unlock()
	switch {
	case !q.again.isLeft():
	case q.poll.ended.Load():
		q.host.GoRun(q.drive)
	default:
		q.poll.wake()
	}
}

// handOver leaves what a drive could not finish to whoever looks after the queue.
func (q *Queue) handOver() {
	switch {
	case q.closed: // the poller asks for another socket in its own time
	case !q.poll.highGear():
		q.poll.wake()
	case q.tails.dozing.Load():
		q.tails.wake()
	}
}

// complete runs completion routines, within a budget; the poller gets the rest. No lock is held.
func (q *Queue) complete() {
	if q.done.Run(ops.RoutineBudget) {
		q.completeLater()
	}
}

// completeLater has what waits for its completion routines completed by another goroutine.
func (q *Queue) completeLater() {
	if q.poll.ended.Load() {
		q.host.GoRun(q.done.Drain)
		return
	}
	q.poll.wake()
}

// driveLocked kicks and harvests until nothing moves any more, and reports whether something is left for the poller to look
// after. Everything is published, and kickMu is held.
func (q *Queue) driveLocked() (left bool) {
	for range driveRounds {
		moved := q.kick()
		n, left := q.harvest(true)
		switch {
		case n == 0 && !moved:
			return unfinished(q)
		case n != 0 && !left && q.tx.ring.Pending() == 0:
			return false
		}
	}
	return unfinished(q)
}

// unfinished reports whether the queue has to be looked after: chunks are with the kernel, operations wait for some, or it
// needs a socket.
func unfinished(q *Queue) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return unfinishedLocked(q)
}

// unfinishedLocked is unfinished for a caller that holds mu.
func unfinishedLocked(q *Queue) bool {
	return q.tx.inflight != 0 || q.waiting.Head != nil || q.state == queueBroken
}

// kick makes the kernel transmit and deals with what it says. It reports whether the kernel consumed descriptors. kickMu is
// held.
func (q *Queue) kick() (moved bool) {
	published, before := q.tx.ring.Producer(), q.tx.ring.Consumer()
	if published == before || q.closed {
		return false
	}
	lockrank.AssertMay(locks.Kick, "a kick")
	began := q.meter.beginKick()
	errno, kicked := q.sock.KickIfNeeded()
	q.meter.endKick(began)
	if !kicked {
		return false
	}
	return q.afterKick(errno, published, before)
}

// afterKick deals with what the kernel said to a kick; published and before are the ends of the ring from before
// it. It reports whether the kernel consumed descriptors. kickMu is held since.
func (q *Queue) afterKick(errno syscall.Errno, published, before uint32) (moved bool) {
	after := q.tx.ring.Consumer()
	if q.zeroCopy {
		q.afterZeroCopyKick(errno)
		return after != before
	}
	switch xdp.ClassifyKick(errno) {
	case xdp.KickDone:
		if after == published {
			d := q.tx.ring.At(published - 1)
			d.Options |= q.tx.ring.At(published-2).Options & xdp.DescContinued // of a frame in several chunks
			if !q.proven.covers(d) && !q.checkInvalid(published) {
				q.proven.add(d, q.tx.umem)
			}
			break
		}
		if after = q.consumed(); after != published && after != before {
			q.checkInvalid(after)
		}
	case xdp.KickDropped:
		after = q.consumed()
		q.pin(after-1, dropStatus(q.dev))
	case xdp.KickLimited:
	case xdp.KickLinkDown:
		q.stop()
	case xdp.KickGone:
		q.giveUp(wsk.STATUS_FILE_FORCED_CLOSED)
	case xdp.KickBadDescriptor:
		after = q.refused()
		if q.metadataRefused(after) {
			q.breakDown("the kernel refuses TX metadata: "+errno.Error(), wsk.STATUS_IO_TIMEOUT)
			break
		}
		q.pin(after, wsk.STATUS_INTERNAL_ERROR)
		q.kickFails("the kernel refuses a descriptor: " + errno.Error())
	default:
		q.kickFails("kick: " + errno.Error())
	}
	return after != before
}

// consumed is the index of the first descriptor that the kernel has not consumed, by its own word and by the completions that
// are there: a frame that was dropped is among them, and nothing behind it can be. Linux 5.10 to 6.16, and 6.18.15 after a kick
// that sent nothing, give their word late (see xdp.TxRing.Completed). kickMu is held.
func (q *Queue) consumed() uint32 {
	first, n := q.cq.Peek(uint32(q.cq.Size()))
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range n {
		if _, s := q.tx.slotOf(q.cq.At(first + i)); s != nil {
			q.tx.ring.Completed(s.at)
		}
	}
	return q.tx.ring.Consumer()
}

// refused is the index of the descriptor that the kernel has just refused with EINVAL. Some kernels put its address on the
// completion ring each time they do, as if it had been sent: so they are asked again, and what then comes is that and nothing
// else. kickMu is held.
func (q *Queue) refused() uint32 {
	_, before := q.cq.Peek(uint32(q.cq.Size()))
	lockrank.AssertMay(locks.Kick, "a kick")
	q.sock.Kick()
	first, after := q.cq.Peek(uint32(q.cq.Size()))
	if after == before {
		return q.consumed()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	_, s := q.tx.slotOf(q.cq.At(first + after - 1))
	if s == nil {
		return q.tx.ring.Consumer()
	}
	q.tx.ring.Completed(s.at - 1)
	return s.at
}

// pin records the fate of the frame whose descriptor is at idx: its completion, when it comes, is a failure.
func (q *Queue) pin(idx uint32, fate wsk.NTSTATUS) {
	d := q.tx.ring.At(idx)
	q.mu.Lock()
	defer q.mu.Unlock()
	_, s := q.tx.slotOf(d.Addr)
	if s == nil {
		q.tx.stats.unpinned++
		return
	}
	s.fate = fate
	q.tx.stats.dropped++
}

// dropStatus names the reason why a device dropped a frame: EBUSY says only that it did.
func dropStatus(dev Device) wsk.NTSTATUS {
	if dev.HasCarrier() {
		return wsk.STATUS_NETWORK_BUSY
	}
	return wsk.STATUS_NETWORK_UNREACHABLE
}

// checkInvalid is called when a kick ended without an error before the ring was empty, which a descriptor that the
// kernel finds invalid does, or at one that may be. That would be our bug; its completion must not pass for a datagram sent. It
// reports whether it was so.
func (q *Queue) checkInvalid(after uint32) (found bool) {
	lockrank.AssertMay(locks.Ask, "to read what the kernel counts")
	st, err := q.sock.Statistics()
	if err != nil || st.TxInvalidDescs == q.proven.invalid {
		return false
	}
	q.proven.invalid = st.TxInvalidDescs
	q.log.Error("the kernel found a descriptor invalid; please report this", "interface", q.dev.Name(), "queue", q.id,
		"desc", q.tx.ring.At(after-1))
	q.pin(after-1, wsk.STATUS_INTERNAL_ERROR)
	return true
}

// harvest reads the completion ring: chunks go back to the pool, operations whose last frame is back to the trampoline,
// and with goOn what waits for chunks is posted and published. It returns the number of completions and, if there were any, whether something
// is left to look after. kickMu is held.
func (q *Queue) harvest(goOn bool) (completions int, left bool) {
	if q.closed {
		return 0, false
	}
	first, n := q.cq.Peek(harvestBatch)
	if n == 0 {
		return 0, false
	}
	q.fruitless = 0
	var done ops.List
	q.mu.Lock()
	q.tx.takeBack(q.cq, first, n, &done)
	q.cq.Release(n)
	q.tx.ring.Completed(q.tx.newest) // before refill: some kernels do not tell that there is room
	if goOn && q.waiting.Head != nil {
		q.refill()
		q.tx.publish()
	}
	left = unfinishedLocked(q)
	q.mu.Unlock()
	q.done.Add(&done)
	return int(n), left
}

// harvestAll is harvest for a socket that goes: whatever has come back by now was sent. kickMu is held.
func (q *Queue) harvestAll() {
	if q.closed {
		return
	}
	for range q.cq.Size()/harvestBatch + 1 {
		q.harvest(false)
	}
}
