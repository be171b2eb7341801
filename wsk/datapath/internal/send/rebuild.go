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
)

// RebuildRetry is the pause between attempts to replace a broken socket.
const RebuildRetry = 100 * time.Millisecond

// Breakdown takes the socket out of service; the poller replaces it (repair). Frames that the kernel consumed and did not
// give back end with status lost; descriptors that it never consumed are withdrawn, and their operations wait
// again or end as they were cancelled. KickMu is held.
func (q *Queue) Breakdown(why string, lost wsk.NTSTATUS) {
	q.harvestAll()
	q.Mu.Lock()
	if q.State == QueueGone || q.State == QueueBroken {
		q.Mu.Unlock()
		return
	}
	q.wasDown = q.State == queueDown
	q.State = QueueBroken
	q.stats.rebuilds++
	q.evacuate(lost)
	sock := q.sock
	q.Out = true
	q.Mu.Unlock()
	q.log.Warn("socket of queue is replaced", "interface", q.Dev.Name(), "queue", q.Id, "why", why)
	// Rings and chunks are not touched while the state is QueueBroken, so the memory may go.
	if err := q.closeSocket(sock); err != nil {
		q.log.Warn("close the old socket of a queue", "interface", q.Dev.Name(), "queue", q.Id, "err", err)
	}
	q.Poll.Wake()
}

// repair opens a new socket for a broken queue. No lock is held while the kernel takes its time: it keeps the
// queue until the last frame of the old socket has been freed.
func (q *Queue) repair() {
	q.Mu.Lock()
	broken := q.State == QueueBroken
	q.Mu.Unlock()
	if !broken {
		return
	}
	lockrank.AssertMay(locks.Ask, "to open the socket of a queue")
	sock, err := q.Reopen()
	q.KickMu.Lock()
	defer q.KickMu.Unlock()
	if err != nil {
		if q.complaint.IsNews(err, time.Now()) {
			q.log.Error("open the new socket of a queue; it is tried again", "interface", q.Dev.Name(), "queue", q.Id, "err", err)
		}
		if q.Dev.IsGone() || errors.Is(err, unix.ENODEV) {
			q.GiveUp(wsk.STATUS_FILE_FORCED_CLOSED)
		}
		return
	}
	q.Mu.Lock()
	defer q.Mu.Unlock()
	if q.State != QueueBroken {
		sock.Close()
		return
	}
	q.startRX(sock)
	q.adopt(sock)
	if q.wasDown && !q.zeroCopy {
		q.State = queueDown
	}
	q.Mu.Unlock()
	q.noticeLink()
	q.Mu.Lock()
	q.Refill()
}

// Complaint keeps an error that comes ten times a second from being said as often.
type Complaint struct {
	said string
	at   time.Time
}

const ComplaintInterval = 10 * time.Second

func (c *Complaint) IsNews(err error, now time.Time) bool {
	if text := err.Error(); text != c.said || now.Sub(c.at) >= ComplaintInterval {
		c.said, c.at = text, now
		return true
	}
	return false
}

// evacuate empties the slots. Operations whose descriptors the kernel never consumed wait again, before those that
// wait already; the others are finished. mu is held; the socket is not used any more.
func (q *Queue) evacuate(lost wsk.NTSTATUS) {
	unsent := make(map[*wsk.SendOp]int32)
	var under []*wsk.SendOp
	q.eachPosted(func(op *wsk.SendOp) {
		if unsent[op] == 0 {
			under = append(under, op)
		}
		unsent[op]++
	})
	for i := range q.Slots {
		op := q.Slots[i].Op
		if op == nil {
			continue
		}
		if fate := q.Slots[i].fate; fate != wsk.STATUS_SUCCESS && op.Transport.Status == wsk.STATUS_SUCCESS {
			op.Transport.Status = fate // refused, and in the ring still
		}
		q.Slots[i].Op = nil
		progressOf(op).frames--
		if _, seen := unsent[op]; !seen {
			unsent[op] = 0
			under = append(under, op)
		}
		if unsent[op]--; unsent[op] < 0 && op.Transport.Status == wsk.STATUS_SUCCESS {
			op.Transport.Status = lost
		}
	}
	q.Inflight = 0
	var again ops.List
	for _, op := range under {
		q.evacuated(op, &again)
	}
	again.Append(&q.Waiting)
	q.Waiting = again
}

// evacuated decides about one operation that has no frame with the kernel any more.
func (q *Queue) evacuated(op *wsk.SendOp, again *ops.List) {
	t, pr := &op.Transport, progressOf(op)
	if t.Linked { // begun but not wholly built: at the head of the waiting list, and armed there
		if !op.DisarmCancel() {
			return
		}
		q.Waiting.Remove(op)
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

// GiveUp ends the queue: everything fails with status, the socket is closed, nothing is accepted any more. KickMu is
// held; the caller runs the completion routines after letting go.
func (q *Queue) GiveUp(status wsk.NTSTATUS) {
	q.harvestAll()
	q.Mu.Lock()
	if q.State == QueueGone {
		q.Mu.Unlock()
		return
	}
	q.State, q.gone = QueueGone, status
	q.failSlots(status)
	for op := q.Waiting.Head; op != nil; op = q.Waiting.Head {
		q.Waiting.Remove(op)
		if op.DisarmCancel() {
			q.abandon(op, status)
		}
	}
	sock := q.sock
	q.Out = true
	q.Mu.Unlock()
	if err := q.closeSocket(sock); err != nil {
		q.log.Warn("close socket", "interface", q.Dev.Name(), "queue", q.Id, "err", err)
	}
	q.Poll.Wake()
}

// failSlots ends every operation that has frames with the kernel, or in the ring for it. mu is held.
func (q *Queue) failSlots(status wsk.NTSTATUS) {
	for i := range q.Slots {
		op := q.Slots[i].Op
		if op == nil {
			continue
		}
		q.Slots[i].Op = nil
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
	q.Inflight, q.unpublished = 0, 0
}

// Shutdown is GiveUp for everybody who holds no lock.
func (q *Queue) Shutdown(status wsk.NTSTATUS) {
	q.KickMu.Lock()
	q.GiveUp(status)
	q.UnlockKick()
	q.RunDone()
}
