// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"errors"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Queue is the receiving half of a queue on an interface with a program. It outlives the sockets of the queue: each has an
// Socket of its own, whose chunks may still be lent when the next one works already.
type Queue struct {
	Intake *Intake
	ID     int

	// RingMu guards the RX ring of the current socket, and stats. A goroutine holds it from Peek to Release of a batch, never
	// over a delivery, so that stop waits for no client.
	RingMu lockrank.Mutex[locks.RingMu]
	stats  stats

	mu   lockrank.Mutex[locks.ReceiverMu]
	cur  *Socket // the newest
	Live bool    // it is not closed
}

// splitSocket is a socket whose RX ring can be waited on.
type splitSocket interface{ RXFD() int }

// detachable is a socket whose chunks can outlive it.
type detachable interface{ Detach() error }

var errNoRX = errors.New("the socket has no RX ring")

// Start takes a fresh socket, whose fill ring is full: its goroutine begins, then the program redirects to it. When this
// fails the frames of the queue pass to the kernel, and so to the companion sockets.
func (r *Queue) Start(sock xdp.Queue) error {
	lockrank.AssertMay(locks.Ask, "to begin to receive")
	if sock.RX() == nil {
		return errNoRX
	}
	s := newSocket(r, sock)
	wait, err := r.Intake.Hub.NewWaiter(sock)
	if err != nil {
		return err
	}
	s.wait = wait
	r.mu.Lock()
	r.cur, r.Live = s, true
	r.mu.Unlock()
	r.Intake.Hub.GoRun(s.loop)
	return r.Intake.setSocket(r.ID, sock)
}

// Close gives a socket of the queue back in the order of I8: out of the program's map, goroutine off the rings, then the socket.
// Its chunks stay mapped while some of them are lent. It waits for no client; any lock of the queue may be held.
func (r *Queue) Close(sock xdp.Queue) error {
	lockrank.AssertMay(locks.Ask, "to close a receiving socket")
	r.mu.Lock()
	s := r.cur
	mine := r.Live && s.Sock == sock
	if mine {
		r.Live = false
	}
	r.mu.Unlock()
	if !mine {
		return sock.Close()
	}
	r.Intake.clearSocket(r.ID)
	return s.stop()
}

func (r *Queue) Current() *Socket {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cur
}
