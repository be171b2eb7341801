// SPDX-License-Identifier: Apache-2.0

package send

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// rebuildRetry is the pause between attempts to replace a broken socket.
const rebuildRetry = 100 * time.Millisecond

// maxFruitless is how many sockets in a row a queue gets whose kicks fail before what waits for it is given up.
const maxFruitless = 5

// kickFails is called when a kick failed for a reason that does not pass by itself. It replaces the socket: the first time
// at once, then after growing pauses. Where that does not help, nothing waits any longer. kickMu is held.
func (q *Queue) kickFails(why string) {
	q.fruitless++
	q.breakDown(why, wsk.STATUS_IO_TIMEOUT)
	if q.fruitless >= maxFruitless {
		q.mu.Lock()
		q.failWaiting(wsk.STATUS_IO_TIMEOUT)
		q.mu.Unlock()
	}
}

// backOff is the pause before the next socket of a queue, after so many that were fruitless.
func backOff(fruitless int) time.Duration {
	if fruitless <= 1 {
		return 0
	}
	return rebuildRetry << min(fruitless-1, maxFruitless)
}

// breakDown takes the socket out of service; the poller replaces it (repair). Frames that the kernel consumed and did not
// give back end with status lost; descriptors that it never consumed are withdrawn, and their operations wait
// again or end as they were cancelled. kickMu is held.
func (q *Queue) breakDown(why string, lost wsk.NTSTATUS) {
	q.harvestAll()
	q.mu.Lock()
	if q.state == queueGone || q.state == queueBroken {
		q.mu.Unlock()
		return
	}
	q.wasDown = q.state == queueDown
	q.state, q.retryAt = queueBroken, time.Now().Add(backOff(q.fruitless))
	q.tx.stats.rebuilds++
	q.evacuate(lost)
	sock := q.sock
	q.closed = true
	q.mu.Unlock()
	q.log.Warn("socket of queue is replaced", "interface", q.dev.Name(), "queue", q.id, "why", why)
	// Rings and chunks are not touched while the state is queueBroken, so the memory may go.
	if err := q.rx.Close(sock); err != nil {
		q.log.Warn("close the old socket of a queue", "interface", q.dev.Name(), "queue", q.id, "err", err)
	}
	q.poll.wake()
}

// repair opens a new socket for a broken queue. No lock is held while the kernel takes its time: it keeps the
// queue until the last frame of the old socket has been freed. It reports whether the queue has come to be away, or is back.
func (q *Queue) repair() (turned bool) {
	began := time.Now()
	q.mu.Lock()
	due := q.state == queueBroken && !began.Before(q.retryAt)
	q.mu.Unlock()
	if !due {
		return false
	}
	lockrank.AssertMay(locks.Ask, "to open the socket of a queue")
	sock, err := q.reopen()
	q.kickMu.Lock()
	defer q.kickMu.Unlock()
	if err != nil {
		if q.complaint.isNews(err, time.Now()) {
			q.log.Error("open the new socket of a queue; it is tried again, and until then datagrams go through the kernel's stack",
				"interface", q.dev.Name(), "queue", q.id, "err", err)
		}
		if q.dev.IsGone() || errors.Is(err, unix.ENODEV) {
			q.giveUp(wsk.STATUS_FILE_FORCED_CLOSED)
			return false
		}
		return q.poll.absence.note(began, err)
	}
	if q.look().state != queueBroken { // from which only a holder of kickMu takes a queue
		sock.Close()
		return false
	}
	q.startRX(sock)
	q.mu.Lock()
	q.tx.stats.replaced = sum(q.tx.stats.replaced, q.sock.Counters())
	q.use(sock)
	if q.wasDown && !q.zeroCopy {
		q.state = queueDown
	}
	q.mu.Unlock()
	q.noticeLink()
	q.mu.Lock()
	q.refill()
	q.mu.Unlock()
	return q.poll.absence.end()
}

// startRX begins to receive on a socket that the queue uses or is about to use.
func (q *Queue) startRX(sock xdp.Queue) {
	if err := q.rx.Start(sock); err != nil {
		q.log.Error("receive on queue; its frames go through the kernel's stack", "interface", q.dev.Name(), "queue", q.id, "err", err)
	}
}

// evacuate empties the slots. Operations whose descriptors the kernel never consumed wait again, before those that
// wait already; the others are finished. mu is held; the socket is not used any more.
func (q *Queue) evacuate(lost wsk.NTSTATUS) {
	unsent := make(map[*wsk.SendOp]int32)
	var under []*wsk.SendOp
	q.tx.eachPosted(func(op *wsk.SendOp) {
		if unsent[op] == 0 {
			under = append(under, op)
		}
		unsent[op]++
	})
	for i := range q.tx.slots {
		op, fate := q.tx.slots[i].op, q.tx.slots[i].fate
		q.tx.slots[i].clear()
		if op == nil {
			continue
		}
		if fate != wsk.STATUS_SUCCESS && op.Transport.Status == wsk.STATUS_SUCCESS {
			op.Transport.Status = fate // refused, and in the ring still
		}
		progressOf(op).frames--
		if _, seen := unsent[op]; !seen {
			unsent[op] = 0
			under = append(under, op)
		}
		if unsent[op]--; unsent[op] < 0 && op.Transport.Status == wsk.STATUS_SUCCESS {
			op.Transport.Status = lost
		}
	}
	q.tx.inflight = 0
	var again ops.List
	for _, op := range under {
		q.evacuated(op, &again)
	}
	again.Append(&q.waiting)
	q.waiting = again
}

// evacuated decides about one operation that has no frame with the kernel any more.
func (q *Queue) evacuated(op *wsk.SendOp, again *ops.List) {
	t, pr := &op.Transport, progressOf(op)
	if t.Linked { // begun but not wholly built: at the head of the waiting list, and armed there
		if !op.DisarmCancel() {
			return
		}
		q.waiting.Remove(op)
	} else if disarm(op); pr.canceller == cancellerComing {
		return
	}
	if t.Status != wsk.STATUS_SUCCESS {
		q.abandon(op, t.Status)
		return
	}
	// Whatever of it went out already is sent once more: UDP allows a datagram to arrive twice, not a
	// success for one that never left.
	pr.buf, pr.piece, pr.built = 0, 0, false
	if !mayWait(op, q) {
		q.abandon(op, wsk.STATUS_CANCELLED)
		return
	}
	again.PushBack(op)
}

// giveUp ends the queue: everything fails with status, the socket is closed, nothing is accepted any more. kickMu is
// held; the caller completes after letting go.
func (q *Queue) giveUp(status wsk.NTSTATUS) {
	q.harvestAll()
	q.mu.Lock()
	if q.state == queueGone {
		q.mu.Unlock()
		return
	}
	q.state, q.gone = queueGone, status
	q.failPosted(status)
	q.failWaiting(status)
	sock, closed := q.sock, q.closed
	q.closed = true
	q.mu.Unlock()
	if !closed {
		if err := q.rx.Close(sock); err != nil {
			q.log.Warn("close socket", "interface", q.dev.Name(), "queue", q.id, "err", err)
		}
	}
	q.poll.wake()
}

// failPosted ends every operation that has frames with the kernel, or in the ring for it. mu is held.
func (q *Queue) failPosted(status wsk.NTSTATUS) {
	for i := range q.tx.slots {
		op := q.tx.slots[i].op
		q.tx.slots[i].clear()
		if op == nil {
			continue
		}
		t, pr := &op.Transport, progressOf(op)
		pr.frames--
		if t.Status == wsk.STATUS_SUCCESS {
			t.Status = status
		}
		if pr.frames == 0 && !t.Linked {
			disarm(op)
			q.abandon(op, status)
		}
	}
	q.tx.inflight, q.tx.unpublished = 0, 0
}

// failWaiting ends everything on the waiting list. mu is held.
func (q *Queue) failWaiting(status wsk.NTSTATUS) {
	for op := q.waiting.Head; op != nil; op = q.waiting.Head {
		q.waiting.Remove(op)
		if !op.DisarmCancel() {
			progressOf(op).canceller = cancellerComing
			continue
		}
		q.abandon(op, status)
	}
}

// Shutdown ends the queue: everything fails with status, the socket is closed, nothing is accepted any more. The caller
// holds no lock.
func (q *Queue) Shutdown(status wsk.NTSTATUS) {
	q.kickMu.Lock()
	q.giveUp(status)
	q.unlockKick()
	q.complete()
}
