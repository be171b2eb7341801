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

// Sink is the receiving half of an endpoint: where its datagrams go, and the entries of the XDP programs that bring them.
type Sink struct {
	Hub      *Hub
	Receiver wsk.Receiver // nil if nobody takes datagrams

	Receiving  atomic.Bool    // deliveries may begin: set after the success of Bind
	Deliveries inflight.Calls // under way; closed by Close

	// Set when the endpoint is bound, before the sink is registered.
	Local netip.AddrPort
	Dual  bool

	entries []PortEntry // guarded by hub.PortsMu
}

// deliver hands a list to the socket above, or back to its lenders when the endpoint does not receive yet or is closed.
// No lock is held.
func (s *Sink) deliver(list *wsk.Datagram, n int) {
	if s.Receiver == nil || !s.Receiving.Load() || !s.Deliveries.Begin() {
		s.Hub.Late.Add(uint64(n))
		for list != nil {
			next := list.Next
			list.Release()
			list = next
		}
		return
	}
	lockrank.AssertMay(locks.Routine, "a delivery")
	s.Receiver.Receive(list)
	s.Deliveries.End()
}
