// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
)

// rebuildRetry is the pause between attempts to replace a broken socket.
const rebuildRetry = 100 * time.Millisecond

// breakdown takes the socket out of service; the poller replaces it (repair). Frames that the kernel consumed and did not
// give back end with status lost; descriptors that it never consumed are withdrawn, and their operations wait
// again or end as they were cancelled. kickMu is held.
func (q *queue) breakdown(why string, lost wsk.NTSTATUS) {
	q.harvestAll()
	q.mu.Lock()
	if q.state == queueGone || q.state == queueBroken {
		q.mu.Unlock()
		return
	}
	q.wasDown = q.state == queueDown
	q.state = queueBroken
	q.stats.rebuilds++
	q.evacuate(lost)
	sock := q.sock
	q.out = true
	q.mu.Unlock()
	q.log.Warn("socket of queue is replaced", "interface", q.dev.ifname(), "queue", q.id, "why", why)
	// Rings and chunks are not touched while the state is queueBroken, so the memory may go.
	if err := q.closeSocket(sock); err != nil {
		q.log.Warn("close the old socket of a queue", "interface", q.dev.ifname(), "queue", q.id, "err", err)
	}
	q.poll.wake()
}

// repair opens a new socket for a broken queue. No lock is held while the kernel takes its time: it keeps the
// queue until the last frame of the old socket has been freed.
func (q *queue) repair() {
	q.mu.Lock()
	broken := q.state == queueBroken
	q.mu.Unlock()
	if !broken {
		return
	}
	lockrank.AssertMay(locks.Ask, "to open the socket of a queue")
	sock, err := q.reopen()
	q.kickMu.Lock()
	defer q.kickMu.Unlock()
	if err != nil {
		if q.complaint.isNews(err, time.Now()) {
			q.log.Error("open the new socket of a queue; it is tried again", "interface", q.dev.ifname(), "queue", q.id, "err", err)
		}
		if q.dev.isGone() || errors.Is(err, unix.ENODEV) {
			q.giveUp(wsk.STATUS_FILE_FORCED_CLOSED)
		}
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.state != queueBroken {
		sock.Close()
		return
	}
	q.startRX(sock)
	q.adopt(sock)
	if q.wasDown && !q.zeroCopy {
		q.state = queueDown
	}
	q.mu.Unlock()
	q.noticeLink()
	q.mu.Lock()
	q.refill()
}

// complaint keeps an error that comes ten times a second from being said as often.
type complaint struct {
	said string
	at   time.Time
}

const complaintInterval = 10 * time.Second

func (c *complaint) isNews(err error, now time.Time) bool {
	if text := err.Error(); text != c.said || now.Sub(c.at) >= complaintInterval {
		c.said, c.at = text, now
		return true
	}
	return false
}

// evacuate empties the slots. Operations whose descriptors the kernel never consumed wait again, before those that
// wait already; the others are finished. mu is held; the socket is not used any more.
func (q *queue) evacuate(lost wsk.NTSTATUS) {
	unsent := make(map[*wsk.SendOp]int32)
	var under []*wsk.SendOp
	q.eachPosted(func(op *wsk.SendOp) {
		if unsent[op] == 0 {
			under = append(under, op)
		}
		unsent[op]++
	})
	for i := range q.slots {
		op := q.slots[i].op
		if op == nil {
			continue
		}
		if fate := q.slots[i].fate; fate != wsk.STATUS_SUCCESS && op.Transport.Status == wsk.STATUS_SUCCESS {
			op.Transport.Status = fate // refused, and in the ring still
		}
		q.slots[i].op = nil
		progressOf(op).frames--
		if _, seen := unsent[op]; !seen {
			unsent[op] = 0
			under = append(under, op)
		}
		if unsent[op]--; unsent[op] < 0 && op.Transport.Status == wsk.STATUS_SUCCESS {
			op.Transport.Status = lost
		}
	}
	q.inflight = 0
	var again ops.List
	for _, op := range under {
		q.evacuated(op, &again)
	}
	again.Append(&q.waiting)
	q.waiting = again
}

// evacuated decides about one operation that has no frame with the kernel any more.
func (q *queue) evacuated(op *wsk.SendOp, again *ops.List) {
	t, pr := &op.Transport, progressOf(op)
	if t.Linked { // begun but not wholly built: at the head of the waiting list, and armed there
		if !op.DisarmCancel() {
			return
		}
		q.waiting.Remove(op)
	} else if q.unarm(op); pr.hold == holdExpected {
		return
	}
	if t.Status != wsk.STATUS_SUCCESS {
		q.abandon(op, t.Status)
		return
	}
	// Whatever of it went out already is sent once more: UDP allows a datagram to arrive twice, not a
	// success for one that never left.
	pr.buf, pr.piece, pr.built = 0, 0, false
	if !q.mayWait(op) {
		q.abandon(op, wsk.STATUS_CANCELLED)
		return
	}
	again.PushBack(op)
}

// giveUp ends the queue: everything fails with status, the socket is closed, nothing is accepted any more. kickMu is
// held; the caller runs the completion routines after letting go.
func (q *queue) giveUp(status wsk.NTSTATUS) {
	q.harvestAll()
	q.mu.Lock()
	if q.state == queueGone {
		q.mu.Unlock()
		return
	}
	q.state, q.gone = queueGone, status
	q.failSlots(status)
	for op := q.waiting.Head; op != nil; op = q.waiting.Head {
		q.waiting.Remove(op)
		if op.DisarmCancel() {
			q.abandon(op, status)
		}
	}
	sock := q.sock
	q.out = true
	q.mu.Unlock()
	if err := q.closeSocket(sock); err != nil {
		q.log.Warn("close socket", "interface", q.dev.ifname(), "queue", q.id, "err", err)
	}
	q.poll.wake()
}

// failSlots ends every operation that has frames with the kernel, or in the ring for it. mu is held.
func (q *queue) failSlots(status wsk.NTSTATUS) {
	for i := range q.slots {
		op := q.slots[i].op
		if op == nil {
			continue
		}
		q.slots[i].op = nil
		t, pr := &op.Transport, progressOf(op)
		pr.frames--
		if t.Status == wsk.STATUS_SUCCESS {
			t.Status = status
		}
		if pr.frames != 0 || t.Linked {
			continue
		}
		if q.unarm(op); pr.hold != holdExpected {
			q.abandon(op, status)
		}
	}
	q.inflight, q.unpublished = 0, 0
}

// shutdown is giveUp for everybody who holds no lock.
func (q *queue) shutdown(status wsk.NTSTATUS) {
	q.kickMu.Lock()
	q.giveUp(status)
	q.unlockKick()
	q.runDone()
}
