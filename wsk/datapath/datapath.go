// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/wsk-xdp/wsk-xdp/internal/inflight"
	"github.com/wsk-xdp/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/companion"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/wsk/route/conntrack"
)

// routing is what the datapath needs of [route.Table].
type routing interface {
	send.Routes
	receive.Routes
	receive.Rules
	companion.Routes
	device.Routes
	Subscribe(func(route.Event)) (cancel func())
	Close() error
}

// Datapath sends and receives the datagrams of WSK sockets through AF_XDP. It implements [wsk.Transport]. All methods are safe
// for concurrent use.
type Datapath struct {
	ns     *netns.NS
	routes routing
	unsub  func()
	cancel context.CancelFunc
	work   inflight.Calls     // goroutines
	track  *conntrack.Tracker // nil with Options.NoConntrack

	senders    *send.Host
	hub        *receive.Hub
	companions *companion.Host
	devices    *device.Set
	endpoints  endpointSet
	watchers   watchers
}

var _ wsk.Transport = (*Datapath)(nil)

// ErrClosed is returned by calls on a closed datapath.
var ErrClosed = device.ErrClosed

// errKernelStack is why there is no queue where Options.KernelStack wants none.
var errKernelStack = errors.New("the kernel's own stack is to send everything")

// Open starts a datapath in the network namespace of opts.NetNS, by default that of the calling thread: it subscribes to routes,
// neighbours and links, and opens the interfaces of opts.Interfaces and opts.Receive, which may take seconds where that takes the
// link down. Other interfaces are opened by the first datagram through them.
//
// Without CAP_NET_RAW and CAP_NET_ADMIN the kernel's stack sends (see Options.AssumeNoIPsec), and Open fails where
// opts.Interfaces names some; opts.Receive takes CAP_BPF as well, and mostly CAP_PERFMON. After an error nothing is left open.
// The datapath is attached by [wsk.Subsystem.Attach], and closed by the caller.
func Open(opts Options) (*Datapath, error) {
	return openWith(opts, func(dp *Datapath) (routing, error) {
		return route.Open(route.Options{
			NetNS: dp.ns.FD(), Logger: opts.Logger, NeighbourTimeout: opts.NeighbourTimeout, AssumeNoIPsec: opts.AssumeNoIPsec,
			Mirror: true,
		})
	})
}

// openWith is Open with the routing table that below makes. below may put something else in the place of AF_XDP sockets.
func openWith(opts Options, below func(*Datapath) (routing, error)) (_ *Datapath, err error) {
	opts.setDefaults()
	if err := receive.CheckCPUs(opts.ReceiveCPUs); err != nil {
		return nil, fmt.Errorf("open datapath: %w", err)
	}
	if opts.KernelStack && len(opts.Interfaces) > 0 {
		return nil, fmt.Errorf("open datapath: KernelStack opens no AF_XDP socket, and Interfaces wants some on %v", opts.Interfaces)
	}
	ns, err := netns.Keep(opts.NetNS)
	if err != nil {
		return nil, fmt.Errorf("open datapath: %w", err)
	}
	dp := &Datapath{ns: ns}
	dp.furnish(&opts)
	defer func() {
		if err != nil {
			dp.Close()
		}
	}()
	routes, err := below(dp)
	if err != nil {
		return nil, fmt.Errorf("open datapath: %w", err)
	}
	dp.setRoutes(routes)
	if !opts.NoConntrack {
		if err := dp.trackConnections(opts.Logger); err != nil {
			return nil, fmt.Errorf("open datapath: %w", err)
		}
	}
	dp.unsub = dp.routes.Subscribe(dp.onEvent)
	dp.goRun(dp.watch)
	for _, name := range opts.Receive {
		if err := dp.devices.OpenReceiving(name); err != nil {
			return nil, err
		}
	}
	for _, name := range opts.Interfaces {
		if err := dp.devices.OpenInterface(name); err != nil {
			return nil, err
		}
	}
	dp.goRun(dp.janitor)
	if opts.StandIn {
		dp.goRun(dp.devices.Learn)
	}
	return dp, nil
}

// furnish makes the rooms of the datapath and tells each what it needs of the others.
func (dp *Datapath) furnish(opts *Options) {
	ctx, cancel := context.WithCancel(context.Background())
	dp.cancel = cancel
	dp.watchers.init()
	processors := runtime.GOMAXPROCS(0)
	finish := ops.NewFinisher(dp.goRun)
	dp.senders = &send.Host{
		Finisher: finish, Log: opts.Logger, Ctx: ctx, InNetNS: dp.ns.Do, Sources: dp.endpoints.sources,
		StallTimeout: opts.StallTimeout, ProofWait: offload.Wait, Processors: processors, LowGear: opts.LowGear,
	}
	dp.senders.Tails.Init()
	dp.hub = &receive.Hub{
		Log: opts.Logger, GoRun: dp.goRun, BusyPoll: opts.BusyPoll, CPUs: opts.ReceiveCPUs, Processors: processors,
		NewWaiter: receive.NewPollWaiter,
	}
	dp.companions = &companion.Host{
		Finisher: finish, Log: opts.Logger, Ctx: ctx, InNetNS: dp.ns.Do, Hub: dp.hub, Inherited: opts.Inherited,
		Buffer: opts.KernelBuffer,
	}
	dp.senders.HasMembers = dp.companions.HasMembers
	dp.devices = &device.Set{
		Log: opts.Logger, Ctx: ctx, GoRun: dp.goRun, InNetNS: dp.ns.Do, Senders: dp.senders, Hub: dp.hub, Changed: dp.watchers.wake,
		Devices: make(map[int]*device.Device),
		Opts: device.Options{
			Queues: opts.Queues, Socket: opts.Socket, Offload: opts.Checksum.offload(), ReceiveMode: opts.ReceiveMode,
			SpreadReceive: opts.SpreadReceive, TagsUnseen: opts.ReceiveTagsUnseen,
			StandIn: opts.StandIn,
		},
	}
	dp.devices.Open = dp.devices.OpenSocket
	dp.senders.QueueFor = dp.devices.QueueFor
	if opts.KernelStack {
		dp.senders.QueueFor = func(route.Device, uint32, func()) (*send.Queue, error) { return nil, errKernelStack }
	}
}

func (dp *Datapath) setRoutes(routes routing) {
	dp.routes = routes
	dp.senders.Routes, dp.hub.Routes, dp.companions.Routes, dp.devices.Routes = routes, routes, routes, routes
	dp.hub.Rules = routes
	dp.senders.Standings, _ = routes.(send.Standings)
}

// trackConnections lets senders see to the connections that the kernel tracks.
func (dp *Datapath) trackConnections(log *slog.Logger) error {
	err := dp.ns.Do(func() error {
		dp.track = conntrack.Open(log)
		return nil
	})
	if err == nil {
		dp.senders.Tracking = dp.track
	}
	return err
}

// OpenEndpoint implements wsk.Transport.
func (dp *Datapath) OpenEndpoint(family uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	ep := newEndpoint(dp, family, events)
	if !dp.endpoints.add(ep) {
		return nil, wsk.STATUS_DEVICE_NOT_READY
	}
	return ep, wsk.STATUS_SUCCESS
}

// Recheck has every [wsk.FlowGuard] asked again about the destinations in use, after what it decides by has changed. What was
// handed over before goes on as it was; what a socket sends after the call goes by the new verdict. It does not wait.
func (dp *Datapath) Recheck() {
	for _, s := range dp.endpoints.sources() {
		s.Recheck()
	}
}

// Close ends the datapath. Its sockets should be closed before; operations that are still under way complete with
// STATUS_FILE_FORCED_CLOSED, and so do later binds. It returns when every goroutine, socket and mapping is gone,
// with the error of closing the routing table. A second call returns nil at once, without waiting for the first.
func (dp *Datapath) Close() error {
	if !dp.endpoints.close() {
		return nil
	}
	endpoints := dp.endpoints.list()
	for _, ep := range endpoints {
		ep.Abort()
	}
	if dp.unsub != nil {
		dp.unsub()
	}
	dp.cancel()
	dp.devices.Close()
	for _, ep := range endpoints {
		ep.kernel.Close()
	}
	var err error
	if dp.routes != nil {
		err = dp.routes.Close()
	}
	dp.work.Close()
	dp.work.Wait()
	if dp.track != nil {
		dp.track.Close()
	}
	dp.ns.Close()
	return err
}

// goRun runs f on a goroutine that Close waits for. After Close has begun f still runs: what it does must end by itself
// once dp.ctx is cancelled.
func (dp *Datapath) goRun(f func()) {
	dp.work.Add(1)
	go func() {
		defer dp.work.Finish(1)
		f()
	}()
}
