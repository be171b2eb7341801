// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// fakeCard is an interface that exists in fakeRoutes only.
var fakeCard = route.Device{
	Index: 1, Name: "fake0", MTU: 1500, Up: true, Carrier: true, Ethernet: true, TxQueues: 4, RxQueues: 4,
}

// fakeRoutes is a routing table that knows interfaces and nothing else.
type fakeRoutes map[string]route.Device

func (r fakeRoutes) DeviceByName(name string) (route.Device, bool) {
	d, ok := r[name]
	return d, ok
}

func (r fakeRoutes) Devices() (list []route.Device) {
	for _, d := range r {
		list = append(list, d)
	}
	return list
}

func (fakeRoutes) PoliciesUnreadable() error { return nil }

func (fakeRoutes) Transmit(hop route.Hop, _ uint8) (route.Egress, route.Obstacle) {
	if hop.Device.Kind == "gretap" {
		return route.Egress{}, route.Obstacle{ID: route.ObstacleKind, Device: hop.Device.Name, Kind: hop.Device.Kind}
	}
	return route.Egress{Device: hop.Device}, route.Obstacle{}
}

func (fakeRoutes) Addresses(int) []route.Address { return nil }

// newSet makes the interfaces of a datapath that does not exist. Their sockets are fakes, and inNetNS is where the
// kernel is asked; nil is the namespace of the test.
func newSet(t *testing.T, routes fakeRoutes, inNetNS func(func() error) error) *Set {
	t.Helper()
	if inNetNS == nil {
		inNetNS = func(f func() error) error { return f() }
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	goRun := func(f func()) { work.Go(f) }
	senders := &send.Host{
		Finisher: ops.NewFinisher(goRun), Log: log, Ctx: ctx, InNetNS: inNetNS, Processors: 1,
		Sources: func() []*send.Source { return nil },
	}
	senders.Tails.Init()
	hub := &receive.Hub{Log: log, GoRun: goRun, Routes: routes, Processors: 1, NewWaiter: receive.NewPollWaiter}
	set := &Set{
		Log: log, Ctx: ctx, GoRun: goRun, InNetNS: inNetNS, Routes: routes, Senders: senders, Hub: hub, Changed: func() {},
		Opts: Options{Queues: 1}, Devices: make(map[int]*Device),
	}
	set.Open = func(*Device, int) (xdp.Queue, error) { return xdptest.New(xdptest.Config{}) }
	t.Cleanup(func() {
		cancel()
		set.Close()
		work.Wait()
	})
	return set
}

// labSet makes a lab and the interfaces of a datapath in its namespace A, with the kernel's sockets.
func labSet(t *testing.T, need testenv.Capability, top testenv.Topology) (*testenv.Lab, *Set, route.Device) {
	t.Helper()
	testenv.Require(t, need|testenv.NetNS)
	lab := testenv.NewLabT(t, top)
	rd := route.Device{
		Index: lab.A.If.Index(), Name: lab.A.If.Name(), MTU: 1500, Up: true, Carrier: true, Ethernet: true,
		TxQueues: max(top.A.TX, 1), RxQueues: max(top.A.RX, 1),
	}
	set := newSet(t, fakeRoutes{rd.Name: rd}, lab.A.NS.Do)
	set.Open = set.OpenSocket
	return lab, set, rd
}

// detach takes a program off its interface by force.
func detach(t *testing.T, program uint32) {
	t.Helper()
	if err := testenv.DetachProgram(program); err != nil {
		t.Error(err)
	}
}

// holders lists the XDP programs on an interface.
func holders(t *testing.T, set *Set, ifindex int) (list []bpf.Holder) {
	t.Helper()
	err := set.InNetNS(func() (err error) {
		list, err = bpf.Holders(ifindex)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
