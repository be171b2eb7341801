// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Queue is the receiving half of a queue on an interface with a program. It outlives the AF_XDP sockets of the queue:
// each has a receiver of its own, whose chunks may still be lent when the next one works already.
type Queue struct {
	intake *Intake
	id     int

	// ringMu guards the RX ring of the current socket, and stats. A goroutine holds it from Peek to Release of a
	// batch, never over a delivery, so that stop waits for no client.
	ringMu lockrank.Mutex[locks.RingMu]
	stats  stats

	mu   lockrank.Mutex[locks.ReceiverMu]
	cur  *receiver // of the newest socket
	live bool      // it is not closed
}

// NewQueue is the receiving half of a queue that has no socket yet.
func NewQueue(in *Intake, id int) *Queue { return &Queue{intake: in, id: id} }

// Start takes a fresh socket, whose fill ring is full: its goroutine begins, then the program redirects to it. When
// this fails the frames of the queue pass to the kernel, and so to the companion sockets.
func (q *Queue) Start(sock xdp.Queue) error {
	lockrank.AssertMay(locks.Ask, "to begin to receive")
	if sock.RX() == nil {
		return errNoRX
	}
	hub := q.intake.Hub
	r := newReceiver(q, sock)
	wait, err := hub.NewWaiter(sock, hub.BusyPoll)
	if err != nil {
		return err
	}
	r.wait = wait
	q.mu.Lock()
	q.cur, q.live = r, true
	q.mu.Unlock()
	hub.GoRun(r.loop)
	return q.intake.setSocket(q.id, sock)
}

// Close gives a socket of the queue back in the order of I8: out of the program's map, goroutine off the rings, then
// the socket. Its chunks stay mapped while some of them are lent. It waits for no client; any lock of the queue may
// be held.
func (q *Queue) Close(sock xdp.Queue) error {
	lockrank.AssertMay(locks.Ask, "to close a receiving socket")
	q.mu.Lock()
	r := q.cur
	mine := q.live && r.sock == sock
	if mine {
		q.live = false
	}
	q.mu.Unlock()
	if !mine {
		return sock.Close()
	}
	q.intake.clearSocket(q.id)
	return r.stop()
}

// current is the receiver of the newest socket, nil before the first.
func (q *Queue) current() *receiver {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.cur
}
