// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Options of a datapath. The zero value serves the caller's network namespace with every default.
type Options struct {
	// NetNS is a file descriptor of the network namespace to work in; 0 is the namespace of the calling thread. Another
	// namespace than the process's own needs CAP_SYS_ADMIN there. The descriptor is duplicated.
	NetNS int
	// Interfaces are opened at once, and Open fails when AF_XDP cannot be had on one. Every other interface is opened
	// when the first datagram is routed through it, and replaced by the kernel's own stack where AF_XDP is not to be had.
	Interfaces []string
	// Receive are interfaces whose datagrams are received through AF_XDP: an XDP program is attached to each, and every
	// receive queue gets a socket. Open fails where that is not to be had. Everything else, and everything when there are none,
	// is received through the kernel's stack.
	Receive []string
	// ReceiveMode is where those programs run: native, generic, or native if possible, which is the default.
	ReceiveMode bpf.Mode
	// SpreadReceive makes the NICs of Receive choose the queue of a UDP datagram by its ports too, as ethtool -N … rx-flow-hash
	// udp4 sdfn does, so that the flows between two hosts come in on all queues. Many NICs hash the addresses alone. What
	// was set before is restored by Close.
	SpreadReceive bool
	// BusyPoll makes the receiving goroutines run the driver for so long at a time instead of sleeping until frames
	// come: lower latency for a processor per queue. 0 sleeps.
	BusyPoll time.Duration
	// ReceiveCPUs are the processors that the receiving goroutines of queues 0, 1, … keep to, in turn, each on a thread of its
	// own until Close: for BusyPoll, and where the interrupts of the queues are bound as well. Without BusyPoll a goroutine that is bound pays
	// a change of threads whenever it wakes. nil leaves them to the schedulers. Open fails where this process may not use one.
	// What sends keeps to the thread of its caller.
	ReceiveCPUs []int
	// Queues is the number of transmit queues to use on each interface, 0 for one, and no more than it has in use. Sockets are
	// spread over them.
	Queues int
	// Socket is the form of every AF_XDP socket: mode, sizes, budget. Interface and queue are filled in. What concerns
	// receiving counts on the interfaces of Receive only; there RxChunks is 2048 when it is 0.
	Socket xdp.Options
	// Checksum is who computes UDP checksums; ChecksumAuto, the default, is this side except on a zero-copy NIC that can. It sets
	// Socket.Offload.
	Checksum ChecksumMode
	// StallTimeout is how long a queue with frames under way may see no completion at all before it is taken
	// to have lost them: it is then kicked once more, and after as long again rebuilt. 0 means 10 seconds.
	StallTimeout time.Duration
	// NeighbourTimeout bounds the wait for an ARP or ND answer. 0 means the routing table's default.
	NeighbourTimeout time.Duration
	// LowGear keeps every queue in the gear in which each send kicks for itself (see load.go): lowest latency, no second
	// processor, about half the rate.
	LowGear bool
	// Logger receives what an operator should know, never anything per datagram. nil discards.
	Logger *slog.Logger
}

const defaultStallTimeout = 10 * time.Second

// routing is what the datapath needs of [route.Table].
type routing interface {
	Generation() uint64
	Resolve(ctx context.Context, q route.Query) (route.Hop, error)
	Transmit(hop route.Hop) (route.Device, []route.VLAN, bool)
	Neighbour(ctx context.Context, ifindex int, ip netip.Addr) ([6]byte, error)
	KeepAlive(ifindex int, ip netip.Addr)
	DeviceByName(name string) (route.Device, bool)
	AddressDevice(ip netip.Addr) (ifindex int, ok bool)
	Addresses(version int) []route.Address
	Devices() []route.Device
	IsBroadcast(ip netip.Addr) bool
	Subscribe(func(route.Event)) (cancel func())
	Flush(dst netip.Addr)
	Close() error
}

// Datapath sends and receives the datagrams of WSK sockets through AF_XDP. It implements [wsk.Transport]. All methods are safe
// for concurrent use.
type Datapath struct {
	opts   Options
	log    *slog.Logger
	ns     *netns.NS
	routes routing
	open   func(d *device, id int) (xdp.Queue, error)
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	unsub  func()
	stats  pathStats
	serial atomic.Uint32
	// processors is GOMAXPROCS at Open: with a single one a poller can't work beside a sender.
	processors int
	proofWait  time.Duration

	// done completes what never reached a queue.
	done completions

	tails tailWatcher

	newWaiter   func(xdp.Queue) (rxWaiter, error)
	copies      copies
	recvBatches recvPool
	demux       demux
	watchers    watchers

	// portsMu guards changes of demux, and what the XDP programs hold.
	portsMu sync.Mutex
	intakes []*intake

	// bindMu makes each bind one step for all others.
	bindMu sync.Mutex
	held   bindTable

	mu        sync.Mutex
	closed    bool
	devices   map[int]*device
	missing   revivals
	endpoints map[*endpoint]struct{}
}

var _ wsk.Transport = (*Datapath)(nil)

// ErrClosed is returned by calls on a closed datapath.
var ErrClosed = errors.New("datapath is closed")

// Open starts a datapath: it subscribes to routes, neighbours and links and opens the interfaces named.
func Open(opts Options) (*Datapath, error) {
	return openWith(opts, func(dp *Datapath) error {
		dp.open = dp.openSocket
		table, err := route.Open(route.Options{NetNS: dp.ns.FD(), Logger: dp.log, NeighbourTimeout: opts.NeighbourTimeout})
		if err == nil {
			dp.routes = table
		}
		return err
	})
}

// openWith is Open with the two things below the datapath put in by the caller.
func openWith(opts Options, below func(*Datapath) error) (_ *Datapath, err error) {
	if opts.StallTimeout <= 0 {
		opts.StallTimeout = defaultStallTimeout
	}
	if opts.Queues <= 0 {
		opts.Queues = 1
	}
	log := opts.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := checkCPUs(opts.ReceiveCPUs); err != nil {
		return nil, fmt.Errorf("open datapath: %w", err)
	}
	ns, err := netns.Keep(opts.NetNS)
	if err != nil {
		return nil, fmt.Errorf("open datapath: %w", err)
	}
	dp := &Datapath{opts: opts, log: log, ns: ns, processors: runtime.GOMAXPROCS(0), proofWait: proofWait, devices: make(map[int]*device),
		endpoints: make(map[*endpoint]struct{}), held: make(bindTable)}
	dp.newWaiter = dp.pollWaiter
	dp.watchers.init()
	dp.tails.init()
	dp.ctx, dp.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			dp.Close()
		}
	}()
	if err := below(dp); err != nil {
		return nil, fmt.Errorf("open datapath: %w", err)
	}
	dp.unsub = dp.routes.Subscribe(dp.onEvent)
	dp.goRun(dp.watch)
	for _, name := range opts.Receive {
		if err := dp.openIntake(name); err != nil {
			return nil, err
		}
	}
	for _, name := range opts.Interfaces {
		if err := dp.openInterface(name); err != nil {
			return nil, err
		}
	}
	dp.goRun(dp.janitor)
	return dp, nil
}

// OpenEndpoint implements wsk.Transport.
func (dp *Datapath) OpenEndpoint(family uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	ep := &endpoint{dp: dp, family: family, events: events, serial: dp.serial.Add(1) - 1}
	ep.receiver, _ = events.(wsk.Receiver)
	ep.options.Store(new(wsk.ReceiveOptions))
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.closed {
		return nil, wsk.STATUS_DEVICE_NOT_READY
	}
	dp.endpoints[ep] = struct{}{}
	return ep, wsk.STATUS_SUCCESS
}

func (dp *Datapath) isClosed() bool {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	return dp.closed
}

func (dp *Datapath) forget(ep *endpoint) {
	dp.mu.Lock()
	delete(dp.endpoints, ep)
	dp.mu.Unlock()
}

// Close ends the datapath. Its sockets should be closed before; operations that are still under way complete with
// STATUS_FILE_FORCED_CLOSED, and so do later binds. It returns when every goroutine, socket and mapping is gone.
func (dp *Datapath) Close() error {
	dp.mu.Lock()
	if dp.closed {
		dp.mu.Unlock()
		return nil
	}
	dp.closed = true
	endpoints := make([]*endpoint, 0, len(dp.endpoints))
	for ep := range dp.endpoints {
		endpoints = append(endpoints, ep)
	}
	dp.mu.Unlock()

	for _, ep := range endpoints {
		ep.Abort()
	}
	if dp.unsub != nil {
		dp.unsub()
	}
	dp.cancel()
	dp.eachDevice(func(d *device) { d.retire() })
	// Each queue leaves the program before its socket goes, so that no frame is lost; the program goes last, since a zero-copy
	// driver resets the device for it and should not have our memory in its rings then.
	dp.eachQueue(func(q *queue) { q.shutdown(wsk.STATUS_FILE_FORCED_CLOSED) })
	for _, in := range dp.intakeList() {
		in.close()
	}
	dp.eachDevice(func(d *device) { d.closeSupply() })
	for _, ep := range endpoints {
		if c := ep.bound(); c != nil {
			dp.release(c, ep.local.Port())
		}
	}
	var err error
	if dp.routes != nil {
		err = dp.routes.Close()
	}
	dp.work.Wait()
	_ = dp.ns.Close()
	return err
}

// goRun runs f on a goroutine that Close waits for. After Close has begun f still runs: what it does must end by itself
// once dp.ctx is cancelled.
func (dp *Datapath) goRun(f func()) {
	dp.work.Add(1)
	go func() {
		defer dp.work.Done()
		f()
	}()
}

// finish ends an operation that no queue holds. The caller holds no lock.
func (dp *Datapath) finish(op *wsk.SendOp, status wsk.NTSTATUS) {
	op.Transport.Status = status
	var one opList
	one.pushBack(op)
	dp.finishAll(&one)
}

// finishAll ends operations whose status is set, that no queue holds. The caller holds no lock.
func (dp *Datapath) finishAll(list *opList) {
	dp.done.add(list)
	if dp.done.run(routineBudget) {
		dp.goRun(func() {
			for dp.done.run(routineBudget) {
			}
		})
	}
}

// onEvent receives link events from the routing table's goroutine, on which no completion routine may run.
func (dp *Datapath) onEvent(ev route.Event) {
	if concerns(ev.Kind) {
		dp.watchers.wake()
	}
	switch ev.Kind {
	case route.LinkUp:
		if d := dp.knownDevice(ev.Interface); d != nil {
			d.linkUp()
		}
	case route.Carrier:
		switch d := dp.knownDevice(ev.Interface); {
		case d == nil:
		case ev.Carrier:
			d.linkUp()
		default:
			d.carrierLost()
		}
	case route.LinkDeleted:
		dp.missIntake(ev.Interface) // at once: another of its name may be in the next event
		dp.goRun(func() { dp.deviceDeleted(ev.Interface) })
	case route.Resynced:
		// A link may have gone down and come back unseen; a kick tells.
		dp.eachQueue(func(q *queue) { q.linkUp() })
	}
}

// janitorInterval is how often neighbours in use are kept alive and old answers of the routing table refreshed.
const janitorInterval = time.Second

// pathLifetime is the age at which a path is looked up again although nothing was announced: path MTU exceptions
// and multipath weights change silently (design.md §5).
const pathLifetime = 30 * time.Second

// janitor does what no event triggers. Flows that were not used since its last round cost it one load.
func (dp *Datapath) janitor() {
	tick := time.NewTicker(janitorInterval)
	defer tick.Stop()
	for {
		select {
		case <-dp.ctx.Done():
			return
		case now := <-tick.C:
			for _, ep := range dp.endpointList() {
				ep.flows.each(func(f *flow) { f.tend(now) })
			}
			dp.eachQueue((*queue).nudgeRX)
			dp.eachDevice((*device).guardSupply)
			dp.guardIntakes(now)
		}
	}
}

func (dp *Datapath) endpointList() []*endpoint {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	list := make([]*endpoint, 0, len(dp.endpoints))
	for ep := range dp.endpoints {
		list = append(list, ep)
	}
	return list
}

// tend keeps the neighbour of a used flow alive, since frames sent past the stack do not, and refreshes an old path.
func (f *flow) tend(now time.Time) {
	if !f.used.Load() {
		return
	}
	f.used.Store(false)
	p := f.path.Load()
	if p == nil {
		return
	}
	if p.neighbourIf != 0 {
		f.ep.dp.routes.KeepAlive(p.neighbourIf, p.neighbour)
	}
	if now.Sub(p.resolved) > pathLifetime {
		f.prefetch()
	}
}
