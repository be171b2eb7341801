// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// heldOpening opens a datapath in namespace A of a lab on which no queue is opened before release is called.
func heldOpening(t *testing.T, lab *testenv.Lab, opts Options) (dp *Datapath, release func()) {
	t.Helper()
	dp = openIn(t, lab, opts)
	held := make(chan struct{})
	open := dp.devices.Open
	dp.devices.Open = func(d *device.Device, id int) (xdp.Queue, error) {
		<-held
		return open(d, id)
	}
	var released atomic.Bool
	release = func() {
		if released.CompareAndSwap(false, true) {
			close(held)
		}
	}
	return dp, release
}

// TestStandIn: with Options.StandIn what is sent while the queue is being opened leaves through the kernel's stack and waits for nobody;
// when it is open everything leaves through it. To each destination all arrives, in order, across the change too.
func TestStandIn(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	for name, topology := range map[string]testenv.Topology{
		"on the link": {}, "behind a gateway": {Shape: testenv.Routed},
	} {
		t.Run(name, func(t *testing.T) { testStandIn(t, topology) })
	}
}

func testStandIn(t *testing.T, topology testenv.Topology) {
	lab := testenv.NewLabT(t, topology)
	dp, release := heldOpening(t, lab, Options{StandIn: true, Socket: xdp.Options{Mode: xdp.ModeCopy}})
	c := newClient(t, dp)
	t.Cleanup(release)
	const ports, first, perRound, rounds = 5, 7030, 40, 60
	var receivers [ports]*testenv.UDPReceiver
	for i := range receivers {
		receivers[i] = testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(first+i)), testenv.UDPReceiverOptions{})
	}
	s := c.socket("0.0.0.0:0")
	var irps []*wsk.IRP
	sent := uint32(0)
	send := func(n int) {
		for range n {
			for i := range ports {
				irp := wsk.AllocateIRP()
				irps = append(irps, irp)
				s.SendTo(whole(binary.BigEndian.AppendUint32(nil, sent)), 0, sockaddr(lab.B.IPv4(), uint16(first+i)), nil, irp)
			}
			sent++
		}
	}
	settle := func() {
		t.Helper()
		for _, irp := range irps {
			mustSucceed(t, "send", await(t, irp))
		}
		irps = irps[:0]
	}
	send(1)
	settle()
	info := dp.Info()
	if len(info.Queues) != 0 || info.SlowSent != ports || info.SlowReasons["opening"] != ports {
		t.Fatalf("%d queues, %d datagrams through the kernel's stack, because of %v", len(info.Queues), info.SlowSent, info.SlowReasons)
	}
	for round := range rounds {
		send(perRound) // which is on its way when the queue is there
		if round == 0 {
			release()
		}
	}
	settle()
	eventually(t, "all flows to lead through the queue", func() bool {
		before := dp.Info().SlowSent
		send(1)
		settle()
		return dp.Info().SlowSent == before
	})
	info = dp.Info()
	if len(info.Queues) != 1 || info.Queues[0].Submitted+info.SlowSent != uint64(sent)*ports || info.Queues[0].Submitted == 0 {
		t.Errorf("%d datagrams: %d queues, %d through the kernel's stack", sent*ports, len(info.Queues), info.SlowSent)
	}
	t.Logf("%d of %d datagrams through the kernel's stack", info.SlowSent, sent*ports)
	for i, r := range receivers {
		got, err := r.Wait(testenv.Context(t, waitLimit), int(sent))
		if err != nil {
			t.Errorf("port %d: %v", first+i, err)
		}
		for at, d := range got {
			if n := binary.BigEndian.Uint32(d.Payload); n != uint32(at) {
				t.Fatalf("port %d: datagram %d in place %d of %d", first+i, n, at, len(got))
			}
		}
	}
}

// TestNoStandIn: without the option everything waits for the queue.
func TestNoStandIn(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	dp, release := heldOpening(t, lab, Options{Socket: xdp.Options{Mode: xdp.ModeCopy}})
	c := newClient(t, dp)
	t.Cleanup(release)
	testenv.NewUDPReceiverT(t, lab.B.NS, netip.MustParseAddrPort("0.0.0.0:7040"), testenv.UDPReceiverOptions{})
	s := c.socket("0.0.0.0:0")
	irp := wsk.AllocateIRP()
	s.SendTo(whole([]byte("x")), 0, sockaddr(lab.B.IPv4(), 7040), nil, irp)
	release()
	mustSucceed(t, "send", await(t, irp))
	if info := dp.Info(); info.SlowSent != 0 || len(info.Queues) != 1 || info.Queues[0].Submitted != 1 {
		t.Errorf("%d datagrams through the kernel's stack, %d queues", info.SlowSent, len(info.Queues))
	}
}
