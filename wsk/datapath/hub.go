// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// hub is what all that receives in one datapath shares: who gets what arrives, and the XDP programs that bring it. What
// is not guarded is filled in before the first interface is received on.
type hub struct {
	log        *slog.Logger
	goRun      func(func()) // starts a goroutine that Close waits for
	routes     receiveRoutes
	busyPoll   time.Duration // see Options.BusyPoll
	cpus       []int         // see Options.ReceiveCPUs
	processors int           // GOMAXPROCS at Open
	newWaiter  func(xdp.Queue) (rxWaiter, error)

	copies copies
	demux  demux
	late   atomic.Uint64 // datagrams for an endpoint that was being closed

	// portsMu guards changes of demux, and what the XDP programs hold.
	portsMu lockrank.Mutex[locks.PortsMu]
	intakes []*intake
	sinks   map[*sink]struct{} // those that have entries
}

// receiveRoutes is what receiving needs of the routing table, [route.Table].
type receiveRoutes interface {
	Addresses(version int) []route.Address
	Devices() []route.Device
}

func (h *hub) intakeList() []*intake {
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	return append([]*intake(nil), h.intakes...)
}

// refresh follows a change of addresses or devices.
func (h *hub) refresh() {
	for _, in := range h.intakeList() {
		in.refresh()
	}
}

// forget takes an intake out again, before its program goes.
func (h *hub) forget(in *intake) {
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	h.intakes = slices.DeleteFunc(slices.Clone(h.intakes), func(other *intake) bool { return other == in })
}
