// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
)

// catcher is a socket above an endpoint, as far as receiving goes.
type catcher struct {
	t *testing.T

	mu     sync.Mutex
	hook   func(list *wsk.Datagram) // if set, gets each list instead; it releases
	got    []wsk.Datagram           // payloads copied
	change chan struct{}
	dead   bool
	above  wsk.EndpointEvents // hears of the end too
}

func newCatcher(t *testing.T) *catcher { return &catcher{t: t, change: make(chan struct{}, 1)} }

// Dead implements wsk.EndpointEvents.
func (s *catcher) Dead() {
	s.mu.Lock()
	s.dead = true
	s.mu.Unlock()
	if s.above != nil {
		s.above.Dead()
	}
	s.signal()
}

func (s *catcher) signal() {
	select {
	case s.change <- struct{}{}:
	default:
	}
}

// Receive implements wsk.Receiver.
func (s *catcher) Receive(list *wsk.Datagram) {
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook != nil {
		hook(list)
		return
	}
	s.record(list)
}

func (s *catcher) setHook(hook func(list *wsk.Datagram)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// record keeps copies of a list and releases it.
func (s *catcher) record(list *wsk.Datagram) {
	s.mu.Lock()
	cast := list.Cast
	for list != nil {
		next := list.Next
		if list.Cast != cast {
			s.t.Errorf("a list with casts %d and %d", cast, list.Cast)
		}
		d := *list
		d.Payload, d.Next, d.Lender = slices.Clone(list.Payload), nil, nil
		if d.Err != nil {
			e := *d.Err
			d.Err = &e
		}
		s.got = append(s.got, d)
		list.Release()
		list = next
	}
	s.mu.Unlock()
	s.signal()
}

func (s *catcher) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

// wait blocks until n datagrams have come since the last wait, and returns exactly those; it fails on more.
func (s *catcher) wait(n int) []wsk.Datagram {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience(waitLimit))
	defer cancel()
	for {
		s.mu.Lock()
		if len(s.got) >= n {
			got := s.got
			s.got = nil
			s.mu.Unlock()
			if len(got) > n {
				s.t.Errorf("%d datagrams, want %d; the first too many: %s", len(got), n, describe(&got[n]))
			}
			return got
		}
		have := len(s.got)
		s.mu.Unlock()
		select {
		case <-s.change:
		case <-ctx.Done():
			s.t.Fatalf("%d datagrams after %v, want %d", have, waitLimit, n)
		}
	}
}

// take is what has come by now.
func (s *catcher) take() []wsk.Datagram {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

func describe(d *wsk.Datagram) string {
	return fmt.Sprintf("%d bytes from %v port %d to %v on %d, TTL %d TOS %#x cast %d segment %d err %v", len(d.Payload),
		netip.AddrFrom16(d.Source.Addr).Unmap(), d.Source.Port, netip.AddrFrom16(d.Destination).Unmap(), d.IfIndex, d.TTL, d.TOS,
		d.Cast, d.Segment, d.Err)
}

// port is an open endpoint with its sink.
type port struct {
	*endpoint
	*catcher
}

func (p *port) addr() netip.AddrPort { return p.source.Local }

// tryBind opens and binds an endpoint and returns the status of the bind.
func tryBind(t *testing.T, dp *Datapath, req wsk.BindRequest) (*port, wsk.NTSTATUS) {
	t.Helper()
	family := uint16(wsk.AF_INET)
	if req.Local.Addr().Is6() {
		family = wsk.AF_INET6
	}
	s := newCatcher(t)
	open, status := dp.OpenEndpoint(family, s)
	mustSucceed(t, "open endpoint", status)
	ep := open.(*endpoint)
	bound := make(chan wsk.NTSTATUS, 1)
	ep.Bind(req, func(_ netip.AddrPort, status wsk.NTSTATUS) { bound <- status })
	status = <-bound
	p := &port{ep, s}
	if status != wsk.STATUS_SUCCESS {
		p.close()
		return nil, status
	}
	// Bind's callback comes before the first datagram can.
	testenv.Eventually(t, waitLimit, "the endpoint to receive", func() bool {
		ep.rxMu.Lock()
		defer ep.rxMu.Unlock()
		return ep.sink.IsOpen()
	})
	t.Cleanup(p.close)
	return p, status
}

func bind(t *testing.T, dp *Datapath, local string) *port {
	t.Helper()
	p, status := tryBind(t, dp, wsk.BindRequest{Local: netip.MustParseAddrPort(local)})
	mustSucceed(t, "bind "+local, status)
	return p
}

// close closes the endpoint and waits for it. A second call does nothing.
func (p *port) close() {
	p.rxMu.Lock()
	ended := p.ended
	p.rxMu.Unlock()
	if ended {
		return
	}
	done := make(chan struct{})
	p.Abort()
	p.Close(func() { close(done) })
	<-done
}

// receiveLab is a lab with a datapath in A that receives on wsk0.
func receiveLab(t *testing.T, top testenv.Topology, opts Options) (*testenv.Lab, *Datapath) {
	t.Helper()
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	lab := testenv.NewLabT(t, top)
	opts.Receive = []string{lab.A.If.Name()}
	return lab, openDatapath(t, lab, opts)
}

// companionLab is the same without XDP: everything comes through the companion sockets.
func companionLab(t *testing.T, top testenv.Topology) (*testenv.Lab, *Datapath) {
	t.Helper()
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, top)
	return lab, openDatapath(t, lab, Options{})
}

func openDatapath(t *testing.T, lab *testenv.Lab, opts Options) *Datapath {
	t.Helper()
	opts.NetNS = lab.A.NS.FD()
	opts.Logger = testLogger(t)
	dp, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		auditReceive(t, dp)
		if err := dp.Close(); err != nil {
			t.Error(err)
		}
	})
	return dp
}

// auditReceive is I1 for the receiving side: with nothing lent, every chunk is in the fill ring or on its way back.
func auditReceive(t *testing.T, dp *Datapath) {
	t.Helper()
	audit := func(r *receive.Queue) {
		chunks := r.Chunks()
		settled := func() bool {
			c := chunks()
			return c.Closed || c.Lent == 0 && c.Filled+c.Back == c.Total
		}
		// Frames that arrived late may just be being looked at.
		ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience(waitLimit))
		defer cancel()
		_ = testenv.Poll(ctx, "the receiver to settle", func() (bool, error) { return settled(), nil })
		if !settled() {
			t.Errorf("chunks of a queue are missing: %+v", chunks())
		}
	}
	dp.devices.Each(func(d *device.Device) {
		for _, r := range d.Received() {
			audit(r)
		}
	})
}

// received is the receiving half of the first queue.
func received(t *testing.T, dp *Datapath) ReceiveInfo {
	t.Helper()
	for _, q := range dp.Info().Queues {
		if q.Receive != nil {
			return *q.Receive
		}
	}
	t.Fatal("no queue receives")
	return ReceiveInfo{}
}

// delivered is how many datagrams the queues that there are now have delivered.
func delivered(dp *Datapath) (n uint64) {
	for _, q := range dp.Info().Queues {
		if q.Receive != nil {
			n += q.Receive.Delivered
		}
	}
	return n
}

func programCounters(dp *Datapath) bpf.Counters { return dp.Info().Programs[0].Counters }

// eventually waits for a condition that no event announces.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	testenv.Eventually(t, waitLimit, what, cond)
}

// tap is a datapath whose sockets send as ever, while what they receive goes to catchers.
type tap struct {
	*Datapath
	t *testing.T

	mu    sync.Mutex
	sinks []*catcher
}

// OpenEndpoint implements wsk.Transport.
func (x *tap) OpenEndpoint(family uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	s := newCatcher(x.t)
	s.above = events
	x.mu.Lock()
	x.sinks = append(x.sinks, s)
	x.mu.Unlock()
	return x.Datapath.OpenEndpoint(family, s)
}

// last is the catcher of the socket made last.
func (x *tap) last() *catcher {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.sinks[len(x.sinks)-1]
}
