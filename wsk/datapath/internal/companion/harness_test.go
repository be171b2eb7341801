// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// waitLimit is how long a test waits for what takes milliseconds on a machine that has nothing else to do. It only
// keeps a test that is broken from hanging.
const waitLimit = time.Minute

// newHost makes a lab, and a host for sockets in the kernel of its namespace A. There is no AF_XDP: everything comes
// and goes through the kernel.
func newHost(t *testing.T, top testenv.Topology) (*testenv.Lab, *Host) {
	t.Helper()
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, top)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	ns, err := netns.Keep(lab.A.NS.FD())
	if err != nil {
		t.Fatal(err)
	}
	routes, err := route.Open(route.Options{NetNS: lab.A.NS.FD(), Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	goRun := func(f func()) { work.Go(f) }
	h := &Host{
		Finisher: &ops.Finisher{GoRun: goRun}, Log: log, Ctx: ctx, InNetNS: ns.Do, Routes: routes,
		Hub: &receive.Hub{Log: log, GoRun: goRun, Routes: routes},
	}
	t.Cleanup(func() {
		if n := h.PortsHeld(); n != 0 {
			t.Errorf("%d ports are still held", n)
		}
		cancel()
		routes.Close()
		work.Wait()
		ns.Close()
	})
	return lab, h
}

// port is an endpoint's sockets with all that they have delivered.
type port struct {
	*Sockets
	t      *testing.T
	sink   *receive.Sink
	change chan struct{}

	mu   sync.Mutex
	hook func(list *wsk.Datagram) // if set, sees each list first, with mu held
	got  []wsk.Datagram           // payloads copied
}

// tryBind opens and binds an endpoint's sockets, and lets datagrams in.
func tryBind(t *testing.T, h *Host, req wsk.BindRequest) (*port, wsk.NTSTATUS) {
	t.Helper()
	family := uint16(wsk.AF_INET)
	if req.Local.Addr().Is6() {
		family = wsk.AF_INET6
	}
	p := &port{t: t, change: make(chan struct{}, 1)}
	p.sink = h.Hub.NewSink(p)
	p.Sockets = h.NewSockets(family, p.sink, func(netip.Addr) {})
	local, status := p.Bind(req, func() bool { return true })
	if status != wsk.STATUS_SUCCESS {
		p.close()
		return nil, status
	}
	p.sink.SetLocal(local, req.DualStack)
	p.sink.Open()
	h.Hub.Register(p.sink)
	p.Start()
	t.Cleanup(p.close)
	return p, status
}

func bind(t *testing.T, h *Host, local string) *port {
	t.Helper()
	p, status := tryBind(t, h, wsk.BindRequest{Local: netip.MustParseAddrPort(local)})
	mustSucceed(t, "bind "+local, status)
	return p
}

// close closes the sockets. A second call does nothing.
func (p *port) close() {
	p.Abort()
	p.End()
	p.LeaveAll()
	p.host.Hub.Unregister(p.sink)
	p.Close()
}

func (p *port) addr() netip.AddrPort { return p.local }

// Receive implements wsk.Receiver.
func (p *port) Receive(list *wsk.Datagram) {
	p.mu.Lock()
	if p.hook != nil {
		p.hook(list)
	}
	for list != nil {
		next := list.Next
		d := *list
		d.Payload, d.Next, d.Lender = slices.Clone(list.Payload), nil, nil
		if d.Err != nil {
			e := *d.Err
			d.Err = &e
		}
		p.got = append(p.got, d)
		list.Release()
		list = next
	}
	p.mu.Unlock()
	select {
	case p.change <- struct{}{}:
	default:
	}
}

func (p *port) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got)
}

// wait blocks until n datagrams have come since the last wait, and returns exactly those; it fails on more.
func (p *port) wait(n int) []wsk.Datagram {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience(waitLimit))
	defer cancel()
	for p.count() < n {
		select {
		case <-p.change:
		case <-ctx.Done():
			p.t.Fatalf("%d datagrams after %v, want %d", p.count(), waitLimit, n)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.got
	p.got = nil
	if len(got) > n {
		p.t.Errorf("%d datagrams, want %d; the first too many: %s", len(got), n, describe(&got[n]))
	}
	return got
}

func describe(d *wsk.Datagram) string {
	return fmt.Sprintf("%d bytes from %v port %d to %v on %d, TTL %d TOS %#x cast %d segment %d err %v", len(d.Payload),
		netip.AddrFrom16(d.Source.Addr).Unmap(), d.Source.Port, netip.AddrFrom16(d.Destination).Unmap(), d.IfIndex, d.TTL,
		d.TOS, d.Cast, d.Segment, d.Err)
}

func mustSucceed(t *testing.T, what string, status wsk.NTSTATUS) {
	t.Helper()
	if status != wsk.STATUS_SUCCESS {
		t.Fatalf("%s: %v", what, status)
	}
}

// eventually waits for a condition that no event announces.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	testenv.Eventually(t, waitLimit, what, cond)
}

// pattern is n bytes that tell their position.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}
