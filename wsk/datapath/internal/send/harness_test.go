// SPDX-License-Identifier: Apache-2.0

package send

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// waitLimit is how long a test waits for what takes milliseconds on a machine that has nothing else to do. It only
// keeps a test that is broken from hanging.
const waitLimit = time.Minute

// stallTime is the stall timeout of tests that wait for it: longer than a machine with other work keeps the processor
// from the fake kernel, which completes nothing meanwhile.
const stallTime = 400 * time.Millisecond

// fakeAddr is where the tests send to: every address is on the one link and answers at once.
var fakeAddr = netip.MustParseAddr("10.0.0.2")

// fakeRoutes is a network of one link, with an MTU of 1500 unless it has another.
type fakeRoutes struct{ mtu int }

func (fakeRoutes) Generation() uint64 { return 1 }

func (r fakeRoutes) Resolve(_ context.Context, q route.Query) (route.Hop, error) {
	mtu := cmp.Or(r.mtu, 1500)
	source := q.Src
	if !source.IsValid() {
		source = netip.MustParseAddr("10.0.0.1")
	}
	d := route.Device{Index: 1, Name: "fake0", MAC: [6]byte{2, 0, 0, 0, 0, 1}, MTU: mtu, Up: true, Carrier: true, Ethernet: true}
	return route.Hop{Kind: route.Unicast, Interface: 1, Device: d, Gateway: q.Dst, OnLink: true, Source: source, MTU: mtu}, nil
}

func (fakeRoutes) Transmit(hop route.Hop, _ uint8) (route.Egress, route.Obstacle) {
	return route.Egress{Device: hop.Device}, route.Obstacle{}
}
func (fakeRoutes) Selected(route.Query, route.Hop) route.Obstacle { return route.Obstacle{} }
func (fakeRoutes) FlowLabels(netip.AddrPort) route.FlowLabels     { return nil }
func (fakeRoutes) AwaitNeighbour(_ int, _ netip.Addr, done func([6]byte, error)) (cancel func()) {
	done([6]byte{2, 0, 0, 0, 0, 2}, nil)
	return func() {}
}
func (fakeRoutes) KeepAlive(int, netip.Addr) {}
func (fakeRoutes) Flush(netip.Addr)          {}

// fakeDevice is an interface with a link that the test makes.
type fakeDevice struct {
	link       atomic.Pointer[LinkState]
	gone       atomic.Bool
	noMetadata atomic.Bool
	fragmentID atomic.Uint32
	proving    lockrank.Mutex[locks.Proof]
}

var (
	linked    = LinkState{Exists: true, Up: true, Carrier: true}
	noCarrier = LinkState{Exists: true, Up: true} // set up, without a cable
)

func (d *fakeDevice) setLink(s LinkState)                   { d.link.Store(&s) }
func (d *fakeDevice) Name() string                          { return "fake0" }
func (d *fakeDevice) LinkNow() LinkState                    { return *d.link.Load() }
func (d *fakeDevice) HasCarrier() bool                      { return d.LinkNow().Carrier }
func (d *fakeDevice) IsGone() bool                          { return d.gone.Load() }
func (d *fakeDevice) NextFragmentID() uint32                { return d.fragmentID.Add(1) }
func (d *fakeDevice) RefuseMetadata()                       { d.noMetadata.Store(true) }
func (d *fakeDevice) Proving() *lockrank.Mutex[locks.Proof] { return &d.proving }

// fakeKernels makes the sockets of a queue: fakes, so that the kernel can be made to misbehave.
type fakeKernels struct {
	config xdptest.Config

	mu    sync.Mutex
	all   []*xdptest.Kernel
	setup func(*xdptest.Kernel)
}

func (f *fakeKernels) open() (xdp.Queue, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, err := xdptest.New(f.config)
	if err != nil {
		return nil, err
	}
	f.all = append(f.all, k)
	if f.setup != nil {
		f.setup(k)
	}
	return k, nil
}

// newest is the socket in use.
func (f *fakeKernels) newest() *xdptest.Kernel {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all[len(f.all)-1]
}

// list is all that there were, in order.
func (f *fakeKernels) list() []*xdptest.Kernel {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

func (f *fakeKernels) count() int { return len(f.list()) }

// rig is a host with one fake device, and a WSK client over it: no more of a datapath than sends.
type rig struct {
	t       *testing.T
	host    *Host
	dev     *fakeDevice
	kernels *fakeKernels
	npi     wsk.ProviderNPI

	mu      sync.Mutex
	queues  []*Queue // by slot, nil until used
	sources []*Source
}

// newRig makes a rig with one queue, which opens at the first datagram. Everything is taken down, and the chunks
// counted, at the end of the test.
func newRig(t *testing.T, config xdptest.Config) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	r := &rig{t: t, dev: new(fakeDevice), kernels: &fakeKernels{config: config}, queues: make([]*Queue, 1)}
	r.dev.setLink(linked)
	r.host = &Host{
		Finisher: ops.NewFinisher(func(f func()) { work.Go(f) }),
		Log:      slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Ctx:      ctx, InNetNS: func(f func() error) error { return f() }, Routes: fakeRoutes{},
		StallTimeout: 2 * waitLimit, ProofWait: time.Millisecond, Processors: 2,
		QueueFor: r.queueFor, Sources: func() []*Source { r.mu.Lock(); defer r.mu.Unlock(); return r.sources },
	}
	r.host.Tails.Init()
	var ss wsk.Subsystem
	mustSucceed(t, "attach", ss.Attach(r, wsk.ProviderOptions{}))
	reg := new(wsk.Registration)
	npi := &wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}
	mustSucceed(t, "register", ss.Register(npi, reg))
	mustSucceed(t, "capture", wsk.CaptureProviderNPI(reg, wsk.WSK_NO_WAIT, &r.npi))
	t.Cleanup(func() {
		wsk.ReleaseProviderNPI(reg)
		wsk.Deregister(reg)
		ss.Detach()
		cancel()
		for _, q := range r.queues {
			if q != nil {
				if err := Audit(q); err != nil {
					t.Error(err)
				}
				q.Shutdown(wsk.STATUS_FILE_FORCED_CLOSED)
			}
		}
		work.Wait()
	})
	return r
}

func (r *rig) queueFor(_ route.Device, serial uint32, _ func()) (*Queue, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slot := int(serial) % len(r.queues)
	if r.queues[slot] == nil {
		q, err := OpenQueue(r.host, r.dev, slot, nil, r.kernels.open)
		if err != nil {
			return nil, err
		}
		r.queues[slot] = q
	}
	return r.queues[slot], nil
}

// queue is the first queue, once a datagram has opened it.
func (r *rig) queue() *Queue {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queues[0]
}

// info is what the first queue says of itself; no state while it is not open.
func (r *rig) info() Info {
	if q := r.queue(); q != nil {
		return q.Info()
	}
	return Info{}
}

// awaitState waits for a state of the queue.
func (r *rig) awaitState(state string) {
	r.t.Helper()
	testenv.Eventually(r.t, waitLimit, "state "+state, func() bool { return r.info().State == state })
}

// deleteQueue ends the queue as the end of its device does; the next source opens another.
func (r *rig) deleteQueue() {
	r.mu.Lock()
	q := r.queues[0]
	r.queues[0] = nil
	r.mu.Unlock()
	q.Shutdown(wsk.STATUS_FILE_FORCED_CLOSED)
}

// OpenEndpoint implements wsk.Transport.
func (r *rig) OpenEndpoint(_ uint16, _ wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	ep := &endpoint{r: r}
	ep.Host, ep.Serial = r.host, r.host.Serial.Add(1)-1
	r.mu.Lock()
	r.sources = append(r.sources, &ep.Source)
	r.mu.Unlock()
	return ep, wsk.STATUS_SUCCESS
}

// endpoint is a source and nothing else.
type endpoint struct {
	Source
	r *rig
}

func (ep *endpoint) Bind(req wsk.BindRequest, done func(netip.AddrPort, wsk.NTSTATUS)) {
	ep.Local = netip.AddrPortFrom(req.Local.Addr(), 50000+uint16(ep.Serial))
	done(ep.Local, wsk.STATUS_SUCCESS)
}
func (ep *endpoint) MTU(to *wsk.Destination) (int, wsk.NTSTATUS) { return ep.Mtu(to) }
func (ep *endpoint) Close(done func())                           { done() }
func (ep *endpoint) Abort() {
	ep.Source.Abort()
	ep.r.mu.Lock()
	queues := ep.r.queues
	ep.r.mu.Unlock()
	for _, q := range queues {
		if q != nil {
			q.Abort(&ep.Source)
		}
	}
}

// socket makes a bound socket and closes it at the end of the test.
func (r *rig) socket() *wsk.Socket { r.t.Helper(); return r.socketOf(wsk.AF_INET, "0.0.0.0:0") }

func (r *rig) socketOf(family uint16, local string) *wsk.Socket {
	r.t.Helper()
	irp := wsk.AllocateIRP()
	r.npi.Socket(family, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	mustSucceed(r.t, "WskSocket", await(r.t, irp))
	s := irp.IoStatus.Socket
	irp = wsk.AllocateIRP()
	s.Bind(wsk.NewSockaddr(netip.MustParseAddrPort(local)), 0, irp)
	mustSucceed(r.t, "WskBind", await(r.t, irp))
	r.t.Cleanup(func() { closeSocket(r.t, s) })
	return s
}

// warm sends one datagram, so that the path is known and the queue open, and waits until those to come need not queue
// up behind it.
func (r *rig) warm(s *wsk.Socket) wsk.SOCKADDR {
	r.t.Helper()
	to := sockaddr(fakeAddr, 9)
	mustSucceed(r.t, "first send", sendOne(r.t, s, whole([]byte("first")), to, nil))
	testenv.Eventually(r.t, waitLimit, "the flow to let everything pass", func() bool {
		waiters := int32(0)
		for _, src := range r.host.Sources() {
			src.flows.each(func(f *Flow) { waiters += f.waiters.Load() })
		}
		return waiters == 0
	})
	return to
}

// sendAll sends n datagrams and returns their IRPs.
func sendAll(s *wsk.Socket, to wsk.SOCKADDR, n int) []*wsk.IRP {
	irps := make([]*wsk.IRP, n)
	for i := range irps {
		irps[i] = wsk.AllocateIRP()
		s.SendTo(whole([]byte{byte(i)}), 0, to, nil, irps[i])
	}
	return irps
}

// awaitAll waits for IRPs that are to end with one status.
func awaitAll(t *testing.T, irps []*wsk.IRP, want wsk.NTSTATUS) {
	t.Helper()
	for i, irp := range irps {
		if got := await(t, irp); got != want {
			t.Errorf("IRP %d: %v, want %v", i, got, want)
		}
	}
}

func mustSucceed(t *testing.T, what string, status wsk.NTSTATUS) {
	t.Helper()
	if status != wsk.STATUS_SUCCESS {
		t.Fatalf("%s: %v", what, status)
	}
}

// await waits for an IRP and returns its status.
func await(t *testing.T, irp *wsk.IRP) wsk.NTSTATUS {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience(waitLimit))
	defer cancel()
	if err := irp.Wait(ctx); err != nil {
		t.Fatalf("IRP does not complete: %v", err)
	}
	return irp.IoStatus.Status
}

// pending reports whether an IRP has not completed.
func pending(irp *wsk.IRP) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return irp.Wait(ctx) != nil
}

// closeSocket closes a socket unless a test has done so.
func closeSocket(t *testing.T, s *wsk.Socket) {
	t.Helper()
	irp := wsk.AllocateIRP()
	s.Close(irp)
	if status := await(t, irp); status != wsk.STATUS_SUCCESS && status != wsk.STATUS_FILE_CLOSED {
		t.Errorf("WskCloseSocket: %v", status)
	}
}

func whole(payload []byte) *wsk.Buf {
	return &wsk.Buf{Mdl: wsk.AllocateMDL(payload), Length: uintptr(len(payload))}
}

func sockaddr(a netip.Addr, port uint16) wsk.SOCKADDR {
	return wsk.NewSockaddr(netip.AddrPortFrom(a, port))
}

// sendOne sends one datagram and waits for its IRP.
func sendOne(t *testing.T, s *wsk.Socket, buf *wsk.Buf, to wsk.SOCKADDR, control []byte) wsk.NTSTATUS {
	t.Helper()
	irp := wsk.AllocateIRP()
	returned := s.SendTo(buf, 0, to, control, irp)
	status := await(t, irp)
	if returned != wsk.STATUS_PENDING && returned != status {
		t.Errorf("SendTo returned %v, its IRP ended with %v", returned, status)
	}
	want := uintptr(0)
	if status == wsk.STATUS_SUCCESS {
		want = buf.Length
	}
	if irp.IoStatus.Information != want {
		t.Errorf("Information = %d with %v, want %d", irp.IoStatus.Information, status, want)
	}
	return status
}
