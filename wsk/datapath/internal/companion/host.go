// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// Host is what all sockets in the kernel of one datapath share. What is not guarded is filled in before the
// first of them is opened.
type Host struct {
	*ops.Finisher // of operations that go through the kernel's stack

	Log     *slog.Logger
	Ctx     context.Context // done when the datapath closes
	InNetNS func(func() error) error
	Routes  Routes
	Hub     *receive.Hub

	batches recvPool
	Stats   Stats

	// BindMu makes each bind one step for all others.
	BindMu lockrank.Mutex[locks.BindMu]
	Held   bindTable
}

// Stats counts what goes through the kernel's stack.
type Stats struct {
	SlowSent, SlowFailed, ICMPErrors, Received, Discarded atomic.Uint64
}

// Routes is what companion sockets need of the routing table, [route.Table].
type Routes interface {
	Resolve(ctx context.Context, q route.Query) (route.Hop, error)
	AddressDevice(ip netip.Addr) (ifindex int, ok bool)
	IsBroadcast(ip netip.Addr) bool
}
