// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"net/netip"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/internal/inflight"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// Sink is the receiving half of an endpoint: where its datagrams go. Its life is SetLocal, Open, Shut, Wait.
type Sink struct {
	receiver wsk.Receiver // nil if nobody takes datagrams
	late     *atomic.Uint64

	open       atomic.Bool
	deliveries inflight.Calls // under way; closed by Shut

	reading atomic.Pointer[Duty] // what brought its last datagram

	// Set when the endpoint is bound, before the hub learns of the sink.
	local netip.AddrPort
	dual  bool
}

// HasReceiver reports whether there is somebody who takes datagrams.
func (s *Sink) HasReceiver() bool { return s.receiver != nil }

// SetLocal notes what the endpoint is bound to; dual says that an IPv6 wildcard stands for IPv4 too.
func (s *Sink) SetLocal(local netip.AddrPort, dual bool) { s.local, s.dual = local, dual }

// Open lets deliveries begin.
func (s *Sink) Open() { s.open.Store(true) }

// IsOpen reports whether Open has been called.
func (s *Sink) IsOpen() bool { return s.open.Load() }

// Shut lets no further delivery begin.
func (s *Sink) Shut() { s.deliveries.Close() }

// Wait returns when the deliveries have ended that were under way at Shut.
func (s *Sink) Wait() { s.deliveries.Wait() }

// Reading is what has brought the last datagram, nil before the first: a caller who waits for the next may attend to it.
func (s *Sink) Reading() *Duty { return s.reading.Load() }

// broughtBy notes what brings a datagram. Callers attend to one reading at a time.
func (s *Sink) broughtBy(d *Duty) {
	if d == nil || s.reading.Load() == d {
		return
	}
	if before := s.reading.Swap(d); before != nil && before != d {
		before.Recall()
	}
}

// deliver hands a list to the socket above, or back to its lenders when the endpoint does not receive yet or is
// closed. No lock is held.
func (s *Sink) deliver(list *wsk.Datagram, n int) {
	if s.receiver == nil || !s.open.Load() || !s.deliveries.Begin() {
		s.late.Add(uint64(n))
		for list != nil {
			next := list.Next
			list.Release()
			list = next
		}
		return
	}
	defer s.deliveries.End() // also when a routine panics on the goroutine of its client
	lockrank.AssertMay(locks.Routine, "a delivery")
	s.receiver.Receive(list)
}
