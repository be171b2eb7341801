// SPDX-License-Identifier: Apache-2.0

package datapath

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

// companionHost is what all sockets in the kernel of one datapath share. What is not guarded is filled in before the
// first of them is opened.
type companionHost struct {
	*ops.Finisher // of operations that go through the kernel's stack

	log     *slog.Logger
	ctx     context.Context // done when the datapath closes
	inNetNS func(func() error) error
	routes  companionRoutes
	hub     *receive.Hub

	batches recvPool
	stats   companionStats

	// bindMu makes each bind one step for all others.
	bindMu lockrank.Mutex[locks.BindMu]
	held   bindTable
}

// companionStats counts what goes through the kernel's stack.
type companionStats struct {
	slowSent, slowFailed, icmpErrors, received, discarded atomic.Uint64
}

// companionRoutes is what companion sockets need of the routing table, [route.Table].
type companionRoutes interface {
	Resolve(ctx context.Context, q route.Query) (route.Hop, error)
	AddressDevice(ip netip.Addr) (ifindex int, ok bool)
	IsBroadcast(ip netip.Addr) bool
}
