// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Hub is what all that receives in one datapath shares: who gets what arrives, and the XDP programs that bring it.
// The exported fields are filled in before the first interface is received on, and not changed any more.
type Hub struct {
	Log        *slog.Logger
	GoRun      func(func()) // starts a goroutine that Close waits for
	Routes     Routes
	Rules      Rules         // nil: nothing of what arrives is refused
	BusyPoll   time.Duration // see Options.BusyPoll
	CPUs       []int         // see Options.ReceiveCPUs
	Processors int           // GOMAXPROCS at Open
	// NewWaiter makes what the receiver of a socket sleeps in. NewPollWaiter but in tests.
	NewWaiter func(xdp.Queue, time.Duration) (Waiter, error)

	Buffers Buffers
	// ByCaller counts the datagrams that callers have read themselves.
	ByCaller atomic.Uint64
	late     atomic.Uint64
	// abandoned is the sum of what queues have abandoned, those of interfaces too that are gone.
	abandoned atomic.Uint64

	ports   portTables
	portsMu lockrank.Mutex[locks.PortsMu] // guards changes of ports, and what the XDP programs have been told
	intakes []*Intake
	single  atomic.Pointer[Sink]  // the only one of sinks, or nil
	sinks   map[*Sink][]PortEntry // those that receive, with the entries of the programs that bring their datagrams
}

// Routes is what receiving needs of the routing table, [route.Table].
type Routes interface {
	Addresses(version int) []route.Address
	Devices() []route.Device
}

// NewSink is the receiving half of an endpoint that is not bound yet. receiver is nil where nobody takes datagrams.
func (h *Hub) NewSink(receiver wsk.Receiver) *Sink { return &Sink{receiver: receiver, late: &h.late} }

// Late is how many datagrams came for an endpoint that did not receive yet or was being closed.
func (h *Hub) Late() uint64 { return h.late.Load() }

// Abandoned counts the frames that were in the rings of sockets when these were closed.
func (h *Hub) Abandoned() uint64 { return h.abandoned.Load() }

// Owner is the sink that owns a unicast datagram to an address and port, arrived on an interface, or nil.
func (h *Hub) Owner(port uint16, dst *[16]byte, ifindex uint32) *Sink {
	return h.ports.find(port).unicast(dst, ifindex)
}

// Serves reports whether frames of an interface come in through one of the programs.
func (h *Hub) Serves(ifindex uint32) bool {
	return slices.ContainsFunc(h.list(), func(in *Intake) bool { return in.serves(ifindex) })
}

// Redirects reports whether the program of an interface brings a sink its unicast datagrams of a family.
func (h *Hub) Redirects(s *Sink, ifindex uint32, is4 bool) bool {
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	for _, e := range h.sinks[s] {
		if e.key.Addr.Is4() != is4 {
			continue
		}
		for _, in := range e.intakes {
			if use := in.keys[e.key]; in.serves(ifindex) && use != nil && use.entered {
				return true
			}
		}
	}
	return false
}

func (h *Hub) list() []*Intake {
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	return slices.Clone(h.intakes)
}

// Refresh follows a change of addresses or devices.
func (h *Hub) Refresh() {
	for _, in := range h.list() {
		in.Refresh()
	}
}

// Remove takes an intake out again, before its program goes.
func (h *Hub) Remove(in *Intake) {
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	h.intakes = slices.DeleteFunc(slices.Clone(h.intakes), func(other *Intake) bool { return other == in })
}

// ChecksSources reports whether the host refuses sources on an interface that is received on.
func (h *Hub) ChecksSources() bool {
	return slices.ContainsFunc(h.list(), func(in *Intake) bool { return in.identity.Load().checksSources })
}
