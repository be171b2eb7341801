// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
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

func (fakeRoutes) Neighbour(context.Context, int, netip.Addr) ([6]byte, error) {
	return [6]byte{2, 0, 0, 0, 0, 2}, nil
}
func (fakeRoutes) KeepAlive(int, netip.Addr)                       {}
func (fakeRoutes) DeviceByName(string) (route.Device, bool)        { return fakeDevice, true }
func (fakeRoutes) AddressDevice(netip.Addr) (ifindex int, ok bool) { return 0, false }
func (fakeRoutes) Addresses(int) []route.Address                   { return nil }
func (fakeRoutes) Devices() []route.Device                         { return []route.Device{fakeDevice} }
func (fakeRoutes) IsBroadcast(netip.Addr) bool                     { return false }
func (fakeRoutes) Subscribe(func(route.Event)) (cancel func())     { return func() {} }
func (fakeRoutes) Flush(netip.Addr)                                {}
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

// newest is the socket in use.
func (f *fakeKernels) newest() *xdptest.Kernel {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all[len(f.all)-1]
}

func (f *fakeKernels) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.all)
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

// carrierOn makes the fake device have a carrier: there is no driver to ask.
func carrierOn(dp *Datapath) {
	d := dp.devices.Known(1)
	d.Carrier.Mu.Lock()
	d.Carrier.Up, d.Carrier.Until = true, time.Now().Add(time.Hour)
	d.Carrier.Mu.Unlock()
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

// TestMisbehavingKernel goes through what a kernel can do with a descriptor, in the middle of a burst.
// design.md §3; invariants I1, I4.
func TestMisbehavingKernel(t *testing.T) {
	const n, at = 20, 7
	for _, tc := range []struct {
		name   string
		fate   xdptest.Fate
		status wsk.NTSTATUS // of the one at
		others wsk.NTSTATUS
		fresh  bool // a new socket is made
		info   func(QueueInfo) bool
	}{
		{"dropped", xdptest.Drop, wsk.STATUS_NETWORK_BUSY, wsk.STATUS_SUCCESS, false, func(q QueueInfo) bool { return q.Dropped == 1 }},
		{"found invalid", xdptest.Invalid, wsk.STATUS_INTERNAL_ERROR, wsk.STATUS_SUCCESS, false, func(q QueueInfo) bool { return q.Dropped == 1 }},
		{"completed twice", xdptest.Twice, wsk.STATUS_SUCCESS, wsk.STATUS_SUCCESS, false, func(q QueueInfo) bool { return q.Foreign == 1 }},
		{"completion lost", xdptest.Lose, wsk.STATUS_IO_TIMEOUT, wsk.STATUS_SUCCESS, true, func(q QueueInfo) bool { return q.Rebuilds == 1 }},
		{"refused for a while", xdptest.Stall, wsk.STATUS_SUCCESS, wsk.STATUS_SUCCESS, false, func(q QueueInfo) bool { return q.Dropped == 0 }},
		{"refused for ever in silence", xdptest.Refuse, wsk.STATUS_INTERNAL_ERROR, wsk.STATUS_SUCCESS, true, func(q QueueInfo) bool { return q.Rebuilds == 1 }},
		{"refused for ever", xdptest.Wedge, wsk.STATUS_INTERNAL_ERROR, wsk.STATUS_SUCCESS, true, func(q QueueInfo) bool { return q.Rebuilds == 1 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dp, kernels := newFakeDatapath(t, xdptest.Config{Budget: -1}, Options{StallTimeout: stallTime, Logger: testLogger(t)})
			c := newClient(t, dp)
			s := c.socket("0.0.0.0:0")
			to := warm(t, s)
			carrierOn(dp)
			k := kernels.newest()
			k.Plan(k.Consumed()+at, tc.fate)
			// One kick must find all of them in the ring.
			k.SetNeedWakeup(false)
			irps := sendAll(s, to, n-1)
			k.SetNeedWakeup(true)
			irps = append(irps, sendAll(s, to, 1)...)
			for i, irp := range irps {
				want := tc.others
				if i == at {
					want = tc.status
				}
				if got := await(t, irp); got != want {
					t.Errorf("datagram %d: %v, want %v", i, got, want)
				}
			}
			mustSucceed(t, "afterwards", sendOne(t, s, whole([]byte("x")), to, nil))
			if q := dp.Info().Queues[0]; !tc.info(q) {
				t.Errorf("%+v", q)
			}
			if fresh := kernels.count() > 1; fresh != tc.fresh {
				t.Errorf("%d sockets were made", kernels.count())
			}
		})
	}
}

// TestForeignCompletions posts addresses that name nothing under way: they are counted and believed by nobody.
// Invariant I10.
func TestForeignCompletions(t *testing.T) {
	dp, kernels := newFakeDatapath(t, xdptest.Config{Budget: -1}, Options{Logger: testLogger(t)})
	c := newClient(t, dp)
	s := c.socket("0.0.0.0:0")
	to := warm(t, s)
	k := kernels.newest()
	k.HoldCompletions(true)
	irps := sendAll(s, to, 3)
	testenv.Eventually(t, waitLimit, "held", func() bool { return k.Held() == 3 })
	foreign := []uint64{0xffff_ffff_ffff_ffff, 1 << 40, 63 * 2048, 62*2048 + 1, 61*2048 + 2047}
	for _, addr := range foreign {
		if !k.PostCompletion(addr) {
			t.Fatal("no room for a completion")
		}
	}
	mustSucceed(t, "one more, completed with the foreign ones", func() wsk.NTSTATUS {
		k.HoldCompletions(false)
		return sendOne(t, s, whole([]byte("x")), to, nil)
	}())
	for i, irp := range irps {
		if !pending(irp) {
			t.Errorf("IRP %d was completed by a foreign address", i)
		}
	}
	if q := dp.Info().Queues[0]; q.Foreign != uint64(len(foreign)) {
		t.Errorf("%d foreign completions counted, want %d", q.Foreign, len(foreign))
	}
	k.CompleteHeld(-1, xdptest.Reverse, 0)
	for _, irp := range irps {
		mustSucceed(t, "held", await(t, irp))
	}
}

// TestLateCompletion holds a completion back until its chunk would be used again: an address of an earlier use of the chunk
// does not complete the operation that uses it now.
func TestLateCompletion(t *testing.T) {
	dp, kernels := newFakeDatapath(t, xdptest.Config{TxChunks: 1, TxRing: 2, Budget: -1}, Options{Logger: testLogger(t)})
	c := newClient(t, dp)
	s := c.socket("0.0.0.0:0")
	to := warm(t, s)
	k := kernels.newest()
	k.Plan(k.Consumed(), xdptest.Twice) // the chunk's next use is completed twice; the second comes after it is used again
	irps := sendAll(s, to, 1)
	mustSucceed(t, "completed twice", await(t, irps[0]))
	k.HoldCompletions(true)
	irp := sendAll(s, to, 1)[0]
	testenv.Eventually(t, waitLimit, "held", func() bool { return k.Held() == 1 })
	if !k.PostCompletion(0 + 8*2) { // an earlier generation of chunk 0
		t.Fatal("no room")
	}
	testenv.Eventually(t, waitLimit, "the late completion to be seen", func() bool { return dp.Info().Queues[0].Foreign == 2 })
	if !pending(irp) {
		t.Error("an IRP was completed by an earlier use of its chunk")
	}
	k.CompleteHeld(-1, xdptest.InOrder, 0)
	mustSucceed(t, "the real completion", await(t, irp))
}

// TestLinkDownFake: the state machine of a link without a kernel: kicks answer ENETDOWN, then work again.
func TestLinkDownFake(t *testing.T) {
	dp, kernels := newFakeDatapath(t, xdptest.Config{Budget: -1}, Options{Logger: testLogger(t)})
	c := newClient(t, dp)
	s := c.socket("0.0.0.0:0")
	to := warm(t, s)
	k := kernels.newest()
	k.SetUp(false)
	irps := sendAll(s, to, 100) // more than chunks
	testenv.Eventually(t, waitLimit, "down", func() bool { return dp.Info().Queues[0].State == "down" })
	k.SetUp(true)
	dp.devices.Known(1).LinkUp()
	for _, irp := range irps {
		mustSucceed(t, "after the link is up", await(t, irp))
	}
}

// TestDeviceGoneFake: ENXIO before netlink says anything.
func TestDeviceGoneFake(t *testing.T) {
	dp, kernels := newFakeDatapath(t, xdptest.Config{Budget: -1}, Options{Logger: testLogger(t)})
	c := newClient(t, dp)
	s := c.socket("0.0.0.0:0")
	to := warm(t, s)
	k := kernels.newest()
	k.HoldCompletions(true)
	irps := sendAll(s, to, 10)
	k.Remove()
	irps = append(irps, sendAll(s, to, 1)...)
	for i, irp := range irps {
		if status := await(t, irp); status != wsk.STATUS_FILE_FORCED_CLOSED {
			t.Errorf("IRP %d: %v", i, status)
		}
	}
	if !k.Closed() {
		t.Error("the socket of a deleted device was not closed")
	}
}

// TestTransientErrnos: none of them is anybody's failure.
func TestTransientErrnos(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EAGAIN, syscall.ENOBUFS, syscall.EINTR, syscall.ENOMEM} {
		dp, kernels := newFakeDatapath(t, xdptest.Config{Budget: -1}, Options{Logger: testLogger(t)})
		c := newClient(t, dp)
		s := c.socket("0.0.0.0:0")
		to := warm(t, s)
		kernels.newest().FailKicks(errno, errno, errno)
		mustSucceed(t, errno.Error(), sendOne(t, s, whole([]byte("x")), to, nil))
	}
}

// TestCompleteOutOfOrder completes a window in random order, again and again over the wrap of the ring cursors.
func TestCompleteOutOfOrder(t *testing.T) {
	dp, kernels := newFakeDatapath(t, xdptest.Config{Start: 0xffff_ff00, Budget: 7}, Options{Logger: testLogger(t)})
	c := newClient(t, dp)
	s := c.socket("0.0.0.0:0")
	to := warm(t, s)
	k := kernels.newest()
	k.HoldCompletions(true)
	for round := range 40 {
		irps := sendAll(s, to, 150)
		for done := 0; done < len(irps); {
			testenv.Eventually(t, waitLimit, "held", func() bool { return k.Held() > 0 })
			done += k.CompleteHeld(-1, xdptest.Random, uint64(round))
		}
		for _, irp := range irps {
			mustSucceed(t, "out of order", await(t, irp))
		}
	}
}
