// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// rxQueue is the receiving half of a queue on an interface with a program. It outlives the sockets of the queue: each has an
// rxSocket of its own, whose chunks may still be lent when the next one works already.
type rxQueue struct {
	in *intake
	id int

	// ringMu guards the RX ring of the current socket, and stats. A goroutine holds it from Peek to Release of a batch, never
	// over a delivery, so that stop waits for no client.
	ringMu lockrank.Mutex[locks.RingMu]
	stats  rxStats

	mu   lockrank.Mutex[locks.ReceiverMu]
	cur  *rxSocket // the newest
	live bool      // it is not closed
}

// splitSocket is a socket whose RX ring can be waited on.
type splitSocket interface{ RXFD() int }

// detachable is a socket whose chunks can outlive it.
type detachable interface{ Detach() error }

var errNoRX = errors.New("the socket has no RX ring")

// Start takes a fresh socket, whose fill ring is full: its goroutine begins, then the program redirects to it. When this
// fails the frames of the queue pass to the kernel, and so to the companion sockets.
func (r *rxQueue) Start(sock xdp.Queue) error {
	lockrank.AssertMay(locks.Ask, "to begin to receive")
	if sock.RX() == nil {
		return errNoRX
	}
	s := newRxSocket(r, sock)
	wait, err := r.in.hub.newWaiter(sock)
	if err != nil {
		return err
	}
	s.wait = wait
	r.mu.Lock()
	r.cur, r.live = s, true
	r.mu.Unlock()
	r.in.hub.goRun(s.loop)
	return r.in.setSocket(r.id, sock)
}

// Close gives a socket of the queue back in the order of I8: out of the program's map, goroutine off the rings, then the socket.
// Its chunks stay mapped while some of them are lent. It waits for no client; any lock of the queue may be held.
func (r *rxQueue) Close(sock xdp.Queue) error {
	lockrank.AssertMay(locks.Ask, "to close a receiving socket")
	r.mu.Lock()
	s := r.cur
	mine := r.live && s.sock == sock
	if mine {
		r.live = false
	}
	r.mu.Unlock()
	if !mine {
		return sock.Close()
	}
	r.in.clearSocket(r.id)
	return s.stop()
}

func (r *rxQueue) current() *rxSocket {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cur
}
