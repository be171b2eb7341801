// SPDX-License-Identifier: Apache-2.0

package send

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// Host is what all that sends in one datapath shares. It is filled in before the first source is made, and only what
// says so changes afterwards.
type Host struct {
	*ops.Finisher // of operations that no queue holds

	Log     *slog.Logger
	Ctx     context.Context // done when the datapath closes
	InNetNS func(func() error) error
	Routes  Routes
	// Standings tell how long an answer of the routes stands; nil, as with made-up routes: until the generation grows.
	Standings Standings

	// QueueFor is the queue that a source sends through on a device; sources with different serials are spread over the
	// queues. It does not block: while the queue is being opened the error is ErrOpening, and later is called when it is worth
	// asking again; it does not block either.
	QueueFor func(rd route.Device, serial uint32, later func()) (*Queue, error)
	// HasMembers reports whether a socket of this host has joined a group on an interface; nil stands for never.
	HasMembers func(ifindex int, group netip.Addr) bool
	// Tracking are the connections that the kernel tracks; nil: nothing is sent for their sake.
	Tracking Tracking
	// Sources lists the sources that exist now.
	Sources func() []*Source

	StallTimeout time.Duration // see Options.StallTimeout
	ProofWait    time.Duration // the first wait for an answer to a probe
	Processors   int           // GOMAXPROCS at Open: with a single one a poller can't work beside a sender
	LowGear      bool          // see Options.LowGear

	Serial atomic.Uint32 // of the next source
	Tails  tailWatcher
	Stats  stats

	workers  workers // they find the ways of flows
	openers  workers // they may have to wait a moment
	searches searches
}

// ErrOpening says that a queue is being opened, and ErrStandIn that the kernel's stack is to send meanwhile.
var (
	ErrOpening = errors.New("the queue is being opened")
	ErrStandIn = errors.New("the queue is being opened, and the kernel's stack sends meanwhile")
)

// useHighGear reports whether queues may leave their frames to bursts.
func (h *Host) useHighGear() bool { return h.Processors > 1 && !h.LowGear }

// stats counts what happens before an operation reaches a queue.
type stats struct {
	ResolveFailed atomic.Uint64
	Opened        atomic.Uint64 // operations that the kernel sent for the sake of its entry of a connection
	SlowPaths     slowPaths
}

// Standings is what sending needs of the routing table besides, for the sake of those who send while routes change.
type Standings interface {
	ResolveStanding(ctx context.Context, q route.Query, on *route.Standing) (route.Hop, error)
	Stands(on *route.Standing) bool
	Leads(q route.Query) route.Leads
	LeadOf(on *route.Standing) route.Lead
	StandsAside(on *route.Standing) bool
	Asked() map[string]uint64
}

func (h *Host) newStanding() *route.Standing {
	if h.Standings == nil {
		return nil
	}
	return new(route.Standing)
}

// resolve asks the routes. What the answer rests on goes into on, where that is not nil.
func (h *Host) resolve(q route.Query, on *route.Standing) (route.Hop, error) {
	if on == nil {
		return h.Routes.Resolve(h.Ctx, q)
	}
	return h.Standings.ResolveStanding(h.Ctx, q, on)
}

// stands reports whether the routes still lead where p goes, as far as is known.
func (h *Host) stands(p *Path) bool {
	if p.standing == nil || h.Standings == nil {
		return p.generation == h.Routes.Generation()
	}
	return h.Standings.Stands(p.standing)
}

// standsAside is stands for the path of a shared flow, whatever becomes of the destination for which it was found.
func (h *Host) standsAside(p *Path) bool {
	return p != nil && p.standing != nil && h.Standings.StandsAside(p.standing)
}

// Routes is what sending needs of the routing table, [route.Table].
type Routes interface {
	Generation() uint64
	Resolve(ctx context.Context, q route.Query) (route.Hop, error)
	Transmit(hop route.Hop, tos uint8) (route.Egress, route.Obstacle)
	Selected(q route.Query, hop route.Hop) route.Obstacle
	FlowLabels(src netip.AddrPort) route.FlowLabels
	AwaitNeighbour(ifindex int, ip netip.Addr, done func(mac [6]byte, err error)) (cancel func())
	KeepAlive(ifindex int, ip netip.Addr)
	Flush(dst netip.Addr)
}
