// SPDX-License-Identifier: Apache-2.0

package receive

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

// Hub is what all that receives in one datapath shares: who gets what arrives, and the XDP programs that bring it. What
// is not guarded is filled in before the first interface is received on.
type Hub struct {
	Log        *slog.Logger
	GoRun      func(func()) // starts a goroutine that Close waits for
	Routes     Routes
	BusyPoll   time.Duration // see Options.BusyPoll
	CPUs       []int         // see Options.ReceiveCPUs
	Processors int           // GOMAXPROCS at Open
	NewWaiter  func(xdp.Queue) (Waiter, error)

	Copies Copies
	Demux  demux
	Late   atomic.Uint64 // datagrams for an endpoint that was being closed

	// PortsMu guards changes of demux, and what the XDP programs hold.
	PortsMu lockrank.Mutex[locks.PortsMu]
	Intakes []*Intake
	Sinks   map[*Sink]struct{} // those that have entries
}

// Routes is what receiving needs of the routing table, [route.Table].
type Routes interface {
	Addresses(version int) []route.Address
	Devices() []route.Device
}

func (h *Hub) IntakeList() []*Intake {
	h.PortsMu.Lock()
	defer h.PortsMu.Unlock()
	return append([]*Intake(nil), h.Intakes...)
}

// Refresh follows a change of addresses or devices.
func (h *Hub) Refresh() {
	for _, in := range h.IntakeList() {
		in.Refresh()
	}
}

// Forget takes an intake out again, before its program goes.
func (h *Hub) Forget(in *Intake) {
	h.PortsMu.Lock()
	defer h.PortsMu.Unlock()
	h.Intakes = slices.DeleteFunc(slices.Clone(h.Intakes), func(other *Intake) bool { return other == in })
}
