// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/wsk/route/ipsec"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// fakeDevice is what fakeRoutes sends everything through.
var fakeDevice = route.Device{Index: 1, Name: "fake0", MAC: [6]byte{2, 0, 0, 0, 0, 1}, MTU: 1500, Up: true, Carrier: true,
	Ethernet: true, TxQueues: 64, RxQueues: 64}

// fakeRoutes is a network in which every address is on the one link and answers at once.
type fakeRoutes struct{}

func (fakeRoutes) Generation() uint64 { return 1 }

func (fakeRoutes) Resolve(_ context.Context, q route.Query) (route.Hop, error) {
	source := q.Src
	if !source.IsValid() {
		source = netip.MustParseAddr("10.0.0.1")
		if q.Dst.Is6() {
			source = netip.MustParseAddr("fd00::1")
		}
	}
	return route.Hop{Kind: route.Unicast, Interface: 1, Device: fakeDevice, Gateway: q.Dst, OnLink: true, Source: source, MTU: 1500}, nil
}

func (fakeRoutes) Transmit(route.Hop, uint8) (route.Egress, route.Obstacle) {
	return route.Egress{Device: fakeDevice}, route.Obstacle{}
}

func (fakeRoutes) Selected(route.Query, route.Hop) route.Obstacle { return route.Obstacle{} }
func (fakeRoutes) FlowLabels(netip.AddrPort) route.FlowLabels     { return nil }
func (fakeRoutes) AwaitNeighbour(_ int, _ netip.Addr, done func([6]byte, error)) (cancel func()) {
	done([6]byte{2, 0, 0, 0, 0, 2}, nil)
	return func() {}
}
func (fakeRoutes) KeepAlive(int, netip.Addr)                       {}
func (fakeRoutes) DeviceByName(string) (route.Device, bool)        { return fakeDevice, true }
func (fakeRoutes) AddressDevice(netip.Addr) (ifindex int, ok bool) { return 0, false }
func (fakeRoutes) Addresses(int) []route.Address                   { return nil }
func (fakeRoutes) Devices() []route.Device                         { return []route.Device{fakeDevice} }
func (fakeRoutes) IsBroadcast(netip.Addr) bool                     { return false }
func (fakeRoutes) Subscribe(func(route.Event)) (cancel func())     { return func() {} }
func (fakeRoutes) Flush(netip.Addr)                                {}
func (fakeRoutes) ReversePath(int) route.ReversePath               { return route.ReversePathOff }
func (fakeRoutes) Accepts(route.Arrival) (bool, error)             { return true, nil }
func (fakeRoutes) Policies() *ipsec.Policies                       { return nil }
func (fakeRoutes) PoliciesUnreadable() error                       { return nil }
func (fakeRoutes) VRF(int) int                                     { return 0 }
func (fakeRoutes) ReceivesFromVRFs() bool                          { return false }
func (fakeRoutes) DropsUnicastInLinkGroups(int, bool) bool         { return false }
func (fakeRoutes) Close() error                                    { return nil }

// fakeKernels makes the sockets of a datapath: fakes, so that the kernel can be made to misbehave.
type fakeKernels struct {
	config xdptest.Config

	mu    sync.Mutex
	all   []*xdptest.Kernel
	setup func(*xdptest.Kernel)
}

func (f *fakeKernels) open(*device.Device, int) (xdp.Queue, error) {
	k, err := xdptest.New(f.config)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, k)
	if f.setup != nil {
		f.setup(k)
	}
	return k, nil
}

// openFake is Open over a fake network and fake sockets.
func openFake(opts Options, routes routing, open func(*device.Device, int) (xdp.Queue, error)) (*Datapath, error) {
	return openWith(opts, func(dp *Datapath) (routing, error) {
		dp.devices.Open = open
		return routes, nil
	})
}

// newFakeDatapath is a datapath over fakes. It needs no privilege: the companion sockets are real and bound to
// wildcard addresses.
func newFakeDatapath(tb testing.TB, config xdptest.Config, opts Options) (*Datapath, *fakeKernels) {
	tb.Helper()
	kernels := &fakeKernels{config: config}
	dp, err := openFake(opts, fakeRoutes{}, kernels.open)
	if err != nil {
		tb.Fatal(err)
	}
	return dp, kernels
}

const fakeTo = "10.0.0.2:9"

// warm sends one datagram, so that the path is known and the queue open.
func warm(t *testing.T, s *wsk.Socket) wsk.SOCKADDR {
	t.Helper()
	to := wsk.NewSockaddr(netip.MustParseAddrPort(fakeTo))
	mustSucceed(t, "first send", sendOne(t, s, whole([]byte("first")), to, nil))
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
