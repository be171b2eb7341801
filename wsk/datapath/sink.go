// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/internal/inflight"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// sink is the receiving half of an endpoint: where its datagrams go, and the entries of the XDP programs that bring them.
type sink struct {
	hub      *hub
	receiver wsk.Receiver // nil if nobody takes datagrams

	receiving  atomic.Bool    // deliveries may begin: set after the success of Bind
	deliveries inflight.Calls // under way; closed by Close

	// Set when the endpoint is bound, before the sink is registered.
	local netip.AddrPort
	dual  bool

	entries []portEntry // guarded by hub.portsMu
}

// deliver hands a list to the socket above, or back to its lenders when the endpoint does not receive yet or is closed.
// No lock is held.
func (s *sink) deliver(list *wsk.Datagram, n int) {
	if s.receiver == nil || !s.receiving.Load() || !s.deliveries.Begin() {
		s.hub.late.Add(uint64(n))
		for list != nil {
			next := list.Next
			list.Release()
			list = next
		}
		return
	}
	lockrank.AssertMay(locks.Routine, "a delivery")
	s.receiver.Receive(list)
	s.deliveries.End()
}
