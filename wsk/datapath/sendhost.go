// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// sendHost is what all that sends in one datapath shares. It is filled in before the first source is made, and only what
// says so changes afterwards.
type sendHost struct {
	*ops.Finisher // of operations that no queue holds

	log     *slog.Logger
	ctx     context.Context // done when the datapath closes
	inNetNS func(func() error) error
	routes  sendRoutes

	// queueFor is the queue that a source sends through on a device; sources with different serials are spread over the
	// queues. It may block while the queue is being opened.
	queueFor func(rd route.Device, serial uint32) (*queue, error)
	// sources lists the sources that exist now.
	sources func() []*source

	stallTimeout time.Duration // see Options.StallTimeout
	proofWait    time.Duration // the first wait for an answer to a probe
	processors   int           // GOMAXPROCS at Open: with a single one a poller can't work beside a sender
	lowGear      bool          // see Options.LowGear

	serial atomic.Uint32 // of the next source
	tails  tailWatcher
	stats  sendStats
}

// sendStats counts what happens before an operation reaches a queue.
type sendStats struct{ resolveFailed, slowPaths atomic.Uint64 }

// sendRoutes is what sending needs of the routing table, [route.Table].
type sendRoutes interface {
	Generation() uint64
	Resolve(ctx context.Context, q route.Query) (route.Hop, error)
	Transmit(hop route.Hop, tos uint8) (route.Egress, route.Obstacle)
	Neighbour(ctx context.Context, ifindex int, ip netip.Addr) ([6]byte, error)
	KeepAlive(ifindex int, ip netip.Addr)
	Flush(dst netip.Addr)
}

// sendDevice is the interface that a queue belongs to.
type sendDevice interface {
	ifname() string
	// linkNow asks the kernel, which takes a system call.
	linkNow() linkState
	// hasCarrier answers from memory where it was asked a moment ago.
	hasCarrier() bool
	isGone() bool
	// nextFragmentID is the identification of a datagram in fragments.
	nextFragmentID() uint32
	// refuseMetadata notes that the kernel takes no frames with TX metadata on this interface.
	refuseMetadata()
	// proving is held by the proof of checksum offload that runs on this interface.
	proving() *lockrank.Mutex[locks.Proof]
}

// linkState is what rtnetlink says of a device now.
type linkState struct {
	exists, up, carrier bool
}

// receiveHalf is the receiving half of a queue's socket.
type receiveHalf interface {
	// start begins to receive on a fresh socket. Where it fails the frames of the queue pass to the kernel.
	start(sock xdp.Queue) error
	// close gives the socket back. It waits for no client; any lock of the queue may be held.
	close(sock xdp.Queue) error
}

// slowPath sends through the kernel's stack what AF_XDP does not reach. It takes ownership of the operation.
type slowPath interface{ send(op *wsk.SendOp) }
