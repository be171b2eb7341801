// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// TestQueueHeldBySomebody: while somebody else has the queue, datagrams go through the kernel's stack at once, new
// destinations too, and nobody waits for the queue. When it is free they leave through it, without another event.
func TestQueueHeldBySomebody(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	var other *xdp.Socket
	err := lab.A.NS.Do(func() (err error) {
		other, err = xdp.Open(xdp.Options{Ifname: lab.A.If.Name(), Mode: xdp.ModeCopy})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	// A wait for the queue would last as long as the test.
	c := newClient(t, openIn(t, lab, Options{Socket: xdp.Options{BindTimeout: time.Hour}}))
	testenv.NewUDPReceiverT(t, lab.B.NS, netip.MustParseAddrPort("0.0.0.0:7017"), testenv.UDPReceiverOptions{})
	testenv.NewUDPReceiverT(t, lab.B.NS, netip.MustParseAddrPort("0.0.0.0:7018"), testenv.UDPReceiverOptions{})
	s := c.socket("0.0.0.0:0")
	for i, port := range []uint16{7017, 7018} {
		mustSucceed(t, "held", sendOne(t, s, whole([]byte("x")), sockaddr(lab.B.IPv4(), port), nil))
		if info := c.dp.Info(); len(info.Queues) != 0 || info.SlowSent != uint64(i+1) {
			t.Fatalf("%d queues, %d datagrams through the kernel's stack, want 0 and %d", len(info.Queues), info.SlowSent, i+1)
		}
	}
	if by := c.dp.Info().SlowReasons; by["no-queue"] != 2 {
		t.Errorf("%v", by)
	}
	if err := lab.A.If.AddRoute(netip.MustParsePrefix("10.99.0.0/16"), lab.B.IPv4()); err != nil { // every way is looked up anew
		t.Fatal(err)
	}
	mustSucceed(t, "held, another route", sendOne(t, s, whole([]byte("x")), sockaddr(lab.B.IPv4(), 7017), nil))
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a datagram to leave through the queue", func() bool {
		mustSucceed(t, "free", sendOne(t, s, whole([]byte("x")), sockaddr(lab.B.IPv4(), 7017), nil))
		queues := c.dp.Info().Queues
		return len(queues) == 1 && queues[0].Submitted > 0
	})
}

// TestQueueTakenBySomebody: when somebody else binds a queue in the moment in which its socket is replaced, what waits for it goes through
// the kernel's stack, and what comes, until it is free.
func TestQueueTakenBySomebody(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	dp := openIn(t, lab, Options{Socket: xdp.Options{BindTimeout: time.Hour}}) // as above
	var opened atomic.Int32
	var other atomic.Pointer[xdp.Socket]
	open := dp.devices.Open
	dp.devices.Open = func(d *device.Device, id int) (xdp.Queue, error) {
		if opened.Add(1) == 2 { // the kernel is about to give the queue back
			err := lab.A.NS.Do(func() error {
				s, err := xdp.Open(xdp.Options{Ifname: lab.A.If.Name(), Mode: xdp.ModeCopy})
				other.Store(s)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		return open(d, id)
	}
	c := newClient(t, dp)
	testenv.NewUDPReceiverT(t, lab.B.NS, netip.MustParseAddrPort("0.0.0.0:7020"), testenv.UDPReceiverOptions{})
	s, to := c.socket("0.0.0.0:0"), sockaddr(lab.B.IPv4(), 7020)
	mustSucceed(t, "before", sendOne(t, s, whole([]byte("x")), to, nil))
	send.BreakDown(dp.devices.Known(lab.A.If.Index()).Opened()[0], "the test wants it", nil)
	for i := range 10 {
		mustSucceed(t, "taken", sendOne(t, s, whole([]byte{byte(i)}), to, nil))
	}
	info := dp.Info()
	if info.SlowSent != 10 || info.SlowReasons["no-queue"] == 0 || info.Queues[0].State != "rebuilding" {
		t.Errorf("%d datagrams through the kernel's stack, %v, queue %s", info.SlowSent, info.SlowReasons, info.Queues[0].State)
	}
	if err := other.Load().Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a datagram to leave through the queue", func() bool {
		mustSucceed(t, "free", sendOne(t, s, whole([]byte("x")), to, nil))
		return dp.Info().Queues[0].Submitted > info.Queues[0].Submitted
	})
}

// TestCloseWhileQueueIsHeld: a datapath closes at once although it waits for a queue.
func TestCloseWhileQueueIsHeld(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	var other *xdp.Socket
	err := lab.A.NS.Do(func() (err error) {
		other, err = xdp.Open(xdp.Options{Ifname: lab.A.If.Name(), Mode: xdp.ModeCopy})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	dp := openIn(t, lab, Options{Socket: xdp.Options{BindTimeout: time.Hour}})
	c := newClient(t, dp)
	s := c.socket("0.0.0.0:0")
	if status := sendOne(t, s, whole([]byte("x")), sockaddr(lab.B.IPv4(), 7019), nil); status != wsk.STATUS_SUCCESS {
		t.Error(status)
	}
	closeSocket(t, s)
	if err := dp.Close(); err != nil {
		t.Error(err)
	}
}

// openIn is Open in namespace A of a lab.
func openIn(t *testing.T, lab *testenv.Lab, opts Options) *Datapath {
	t.Helper()
	opts.NetNS, opts.Logger = lab.A.NS.FD(), testLogger(t)
	dp, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return dp
}
