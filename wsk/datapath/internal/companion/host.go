// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// Host is what all sockets in the kernel of one datapath share. Its exported fields are filled in before the first of
// them is opened, and do not change any more.
type Host struct {
	*ops.Finisher // of operations that go through the kernel's stack

	Log     *slog.Logger
	Ctx     context.Context          // done when the datapath closes
	InNetNS func(func() error) error // runs a function in the datapath's network namespace
	Routes  Routes
	Hub     *receive.Hub
	// Inherited is a socket that is bound to an address already and is to be used instead of a new one, -1 where there is
	// none. The descriptor is ours from then on. nil: there is never one.
	Inherited func(netip.AddrPort) int
	// Buffer is how many bytes the kernel is to queue for each socket, 0 for the default. Where this process may administrate the
	// network that may be more than net.core.rmem_max.
	Buffer int

	Stats Stats

	ports   portTable
	batches batchPool
	members members
	deleted atomic.Uint64 // interfaces, so far
}

// Stats counts operations that go through the kernel's stack, and what comes from there.
type Stats struct {
	SlowSent, SlowFailed, ICMPErrors, Received, Discarded atomic.Uint64
}

// Routes is what sockets in the kernel need of the routing table, [route.Table].
type Routes interface {
	Resolve(ctx context.Context, q route.Query) (route.Hop, error)
	AddressDevice(ip netip.Addr) (ifindex int, ok bool)
	IsBroadcast(ip netip.Addr) bool
}

// PortsHeld is how many ports the sockets of this host hold.
func (h *Host) PortsHeld() int {
	h.ports.mu.Lock()
	defer h.ports.mu.Unlock()
	return len(h.ports.held)
}

// Overflowed is how many datagrams the kernel had no room for at the sockets of this host, those that are closed, too.
func (h *Host) Overflowed() uint64 { return h.ports.overflowed() }
