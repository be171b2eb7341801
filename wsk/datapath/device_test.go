// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// frozen is a routing table whose answers do not age, so that a test meets what the kernel says about a device and not what
// the routing table says before.
type frozen struct{ routing }

func (frozen) Generation() uint64 { return 1 }

// freeze makes the paths found from now on last.
func freeze(c *client) { c.dp.setRoutes(frozen{c.dp.routes}) }

// TestPeerDown: the device drops each frame with EBUSY and completes it all the same; the IRP must not succeed.
func TestPeerDown(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{})
	freeze(c)
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), 7010), testenv.UDPReceiverOptions{})
	s := c.socket("10.77.0.1:0")
	to := sockaddr(lab.B.IPv4(), 7010)
	mustSucceed(t, "peer up", sendOne(t, s, whole([]byte("1")), to, nil))
	if err := lab.B.If.SetDown(); err != nil {
		t.Fatal(err)
	}
	if status := sendOne(t, s, whole([]byte("2")), to, nil); status != wsk.STATUS_NETWORK_UNREACHABLE {
		t.Errorf("peer down: %v, want STATUS_NETWORK_UNREACHABLE", status)
	}
	// Fragments: one operation, many drops, one failure.
	if status := sendOne(t, s, whole(pattern(20000)), to, nil); status != wsk.STATUS_NETWORK_UNREACHABLE {
		t.Errorf("peer down, fragments: %v", status)
	}
	if err := lab.B.If.SetUp(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, waitLimit, "a carrier", func() bool { return c.dp.devices.Known(lab.A.If.Index()).HasCarrier() })
	mustSucceed(t, "peer up again", sendOne(t, s, whole([]byte("3")), to, nil))
	got, err := receiver.Wait(testenv.Context(t, waitLimit), 2)
	if err != nil {
		t.Fatal(err)
	}
	if string(got[0].Payload)+string(got[1].Payload) != "13" {
		t.Errorf("arrived %q and %q", got[0].Payload, got[1].Payload)
	}
	if q := c.dp.Info().Queues[0]; q.Dropped != 1+14 || q.Unpinned != 0 {
		t.Errorf("%d drops pinned, %d not; want 15 and 0", q.Dropped, q.Unpinned)
	}
}

// TestFrameTooLongForPeer: the far end takes less than our MTU, so the device drops the frame although there is a carrier.
func TestFrameTooLongForPeer(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{})
	freeze(c)
	if err := lab.B.If.SetMTU(1300); err != nil {
		t.Fatal(err)
	}
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), 7011), testenv.UDPReceiverOptions{})
	s := c.socket("10.77.0.1:0")
	to := sockaddr(lab.B.IPv4(), 7011)
	// The dropped one stands between others of one burst: only it may fail.
	irps := make([]*wsk.IRP, 9)
	for i := range irps {
		n := 100 + i
		if i == 4 {
			n = 1472
		}
		irps[i] = wsk.AllocateIRP()
		s.SendTo(whole(pattern(n)), 0, to, nil, irps[i])
	}
	for i, irp := range irps {
		want := wsk.STATUS_SUCCESS
		if i == 4 {
			want = wsk.STATUS_NETWORK_BUSY
		}
		if got := await(t, irp); got != want {
			t.Errorf("datagram %d: %v, want %v", i, got, want)
		}
	}
	if _, err := receiver.Wait(testenv.Context(t, waitLimit), 8); err != nil {
		t.Error(err)
	}
}

// TestBudget sends more in one burst than a kick may transmit: EAGAIN is progress.
func TestBudget(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{Socket: xdp.Options{TxBudget: 32}})
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), 7012), testenv.UDPReceiverOptions{})
	s := c.socket("10.77.0.1:0")
	const n = 1000
	nodes := make([]wsk.BufList, n)
	for i := range nodes {
		nodes[i].Buffer = *whole(binary.BigEndian.AppendUint32(nil, uint32(i)))
		if i > 0 {
			nodes[i-1].Next = &nodes[i]
		}
	}
	irp := wsk.AllocateIRP()
	s.SendMessages(&nodes[0], 0, sockaddr(lab.B.IPv4(), 7012), nil, irp)
	mustSucceed(t, "SendMessages", await(t, irp))
	if irp.IoStatus.Information != 4*n {
		t.Errorf("Information = %d, want %d", irp.IoStatus.Information, 4*n)
	}
	got, err := receiver.Wait(testenv.Context(t, waitLimit), n)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range got {
		if binary.BigEndian.Uint32(d.Payload) != uint32(i) {
			t.Fatalf("datagram %d arrived as number %d", binary.BigEndian.Uint32(d.Payload), i)
		}
	}
	if q := c.dp.Info().Queues[0]; q.Counters.Kicks < n/32 {
		t.Errorf("%d kicks for %d frames with a budget of 32: the budget was not reached", q.Counters.Kicks, n)
	}
}

// TestLinkDownAndUp: descriptors wait in the ring, their IRPs stay pending and cancellable, and go when the link is back.
func TestLinkDownAndUp(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{})
	freeze(c)
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), 7013), testenv.UDPReceiverOptions{})
	s := c.socket("10.77.0.1:0")
	to := sockaddr(lab.B.IPv4(), 7013)
	mustSucceed(t, "link up", sendOne(t, s, whole([]byte{0}), to, nil))
	if err := lab.A.If.SetDown(); err != nil {
		t.Fatal(err)
	}
	const n = 20
	irps := make([]*wsk.IRP, n)
	for i := range irps {
		irps[i] = wsk.AllocateIRP()
		s.SendTo(whole([]byte{byte(1 + i)}), 0, to, nil, irps[i])
	}
	testenv.Eventually(t, waitLimit, "the queue to see that the link is down", func() bool {
		return c.dp.Info().Queues[0].State == "down"
	})
	for i, irp := range irps {
		if !pending(irp) {
			t.Fatalf("IRP %d ended with %v while the link was down", i, irp.IoStatus.Status)
		}
	}
	// The first is in the ring, the last on the waiting list: both can be cancelled, and neither ever leaves. Cancel need not say so: it
	// reports false of what is just being moved between the two.
	for _, i := range []int{n - 1, 0} {
		irps[i].Cancel()
		if status := await(t, irps[i]); status != wsk.STATUS_CANCELLED {
			t.Errorf("cancelled IRP %d: %v", i, status)
		}
	}
	if err := lab.A.If.SetUp(); err != nil {
		t.Fatal(err)
	}
	for i, irp := range irps[1 : n-1] {
		if status := await(t, irp); status != wsk.STATUS_SUCCESS {
			t.Errorf("IRP %d after the link came back: %v", i+1, status)
		}
	}
	got, err := receiver.Wait(testenv.Context(t, waitLimit), n-1)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range got {
		want := byte(i)
		if i > 0 {
			want++
		}
		if d.Payload[0] != want {
			t.Errorf("datagram %d arrived as number %d, want %d", d.Payload[0], i, want)
		}
	}
}

// TestCloseWhileLinkDown: a socket closes although its frames wait in the ring of a dead link, and they never leave.
//
// Checklist item 70.
func TestCloseWhileLinkDown(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{StallTimeout: time.Hour})
	freeze(c)
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), 7014), testenv.UDPReceiverOptions{})
	s, other := c.socket("10.77.0.1:0"), c.socket("10.77.0.1:0")
	to := sockaddr(lab.B.IPv4(), 7014)
	mustSucceed(t, "link up", sendOne(t, s, whole([]byte("s")), to, nil))
	mustSucceed(t, "link up", sendOne(t, other, whole([]byte("o")), to, nil))
	if err := lab.A.If.SetDown(); err != nil {
		t.Fatal(err)
	}
	irps := make([]*wsk.IRP, 10)
	for i := range irps {
		irps[i] = wsk.AllocateIRP()
		s.SendTo(whole([]byte("never")), 0, to, nil, irps[i])
	}
	kept := wsk.AllocateIRP()
	other.SendTo(whole([]byte("kept")), 0, to, nil, kept)
	closeSocket(t, s) // does not wait for a stall, which would take an hour
	for i, irp := range irps {
		if pending(irp) {
			t.Fatalf("IRP %d is pending after its socket was closed", i)
		}
		if status := irp.IoStatus.Status; status != wsk.STATUS_CANCELLED {
			t.Errorf("IRP %d: %v", i, status)
		}
	}
	if err := lab.A.If.SetUp(); err != nil {
		t.Fatal(err)
	}
	mustSucceed(t, "the other socket's datagram", await(t, kept))
	got, err := receiver.Wait(testenv.Context(t, waitLimit), 3)
	if err != nil {
		t.Fatal(err)
	}
	if string(got[2].Payload) != "kept" || receiver.Count() != 3 {
		t.Errorf("%d datagrams arrived, the third is %q", receiver.Count(), got[2].Payload)
	}
}

// TestDeviceDeleted: everything pending fails, wherever it waits; the socket is dead, and can be closed.
//
// Checklist item 38.
func TestDeviceDeleted(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{Socket: xdp.Options{TxChunks: 16, TxRing: 32}})
	s := c.socket("10.77.0.1:0")
	to := sockaddr(lab.B.IPv4(), 9)
	mustSucceed(t, "device there", sendOne(t, s, whole([]byte("1")), to, nil))
	hold, err := lab.B.If.HoldReceive(lab.A.If) // goes with the device
	if err != nil {
		t.Fatal(err)
	}
	irps := make([]*wsk.IRP, 40)
	for i := range irps {
		irps[i] = wsk.AllocateIRP()
		s.SendTo(whole([]byte("2")), 0, to, nil, irps[i])
	}
	testenv.Eventually(t, waitLimit, "frames held", func() bool { n, err := hold.Held(); return err == nil && n >= 16 })
	silent := wsk.AllocateIRP()
	s.SendTo(whole([]byte("3")), 0, sockaddr(netip.MustParseAddr("10.77.0.99"), 9), nil, silent)
	if err := lab.A.If.Delete(); err != nil {
		t.Fatal(err)
	}
	for i, irp := range append(irps, silent) {
		// What waits for a neighbour may hear first that the route, or the source address, has gone with the device.
		status := await(t, irp)
		early := status == wsk.STATUS_NETWORK_UNREACHABLE || status == wsk.STATUS_INVALID_ADDRESS_COMPONENT
		if status != wsk.STATUS_FILE_FORCED_CLOSED && (irp != silent || !early) {
			t.Errorf("IRP %d: %v", i, status)
		}
	}
	testenv.Eventually(t, waitLimit, "the socket to be dead", func() bool {
		return sendOne(t, s, whole([]byte("4")), to, nil) == wsk.STATUS_FILE_FORCED_CLOSED
	})
	closeSocket(t, s)
}

// deaf is a routing table that tells of no change.
type deaf struct{ routing }

func (deaf) Subscribe(func(route.Event)) (cancel func()) { return func() {} }

// TestDeviceReplacedUnseen: netlink says nothing of an interface that goes and comes back with the same index, as where events
// were lost. The queue of the old one is gone; a new one is opened, and sockets send and receive through it.
func TestDeviceReplacedUnseen(t *testing.T) {
	for name, c := range map[string]struct{ sends, receives bool }{
		"sends": {sends: true}, "receives": {receives: true}, "sends and receives": {sends: true, receives: true},
	} {
		t.Run(name, func(t *testing.T) {
			testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
			lab := testenv.NewLabT(t, testenv.Topology{})
			opts := Options{NetNS: lab.A.NS.FD(), Logger: testLogger(t)}
			if c.receives {
				opts.Receive = []string{lab.A.If.Name()}
			}
			dp, err := openWith(opts, func(dp *Datapath) (routing, error) {
				table, err := route.Open(route.Options{NetNS: dp.ns.FD(), Logger: opts.Logger})
				return deaf{table}, err
			})
			if err != nil {
				t.Fatal(err)
			}
			client := newClient(t, dp)
			to := sockaddr(lab.B.IPv4(), 7016)
			testenv.NewUDPReceiverT(t, lab.B.NS, netip.MustParseAddrPort("0.0.0.0:7016"), testenv.UDPReceiverOptions{})
			old := client.socket("0.0.0.0:0")
			for range replacedSends {
				mustSucceed(t, "before", sendOne(t, old, whole([]byte("x")), to, nil))
			}
			index := lab.A.If.Index()
			if err := lab.A.If.Delete(); err != nil {
				t.Fatal(err)
			}
			comeBackAs(t, lab, lab.A.If.Name(), lab.B.If.Name(), index)
			if lab.A.If.Index() != index {
				t.Fatalf("the interface has come back with index %d, want %d", lab.A.If.Index(), index)
			}
			if c.sends {
				sendsAnew(t, client, dp, to, c.receives)
			}
			if c.receives {
				arrivesOn(t, lab, dp, "10.77.0.1", index)
			}
		})
	}
}

// replacedSends is how many datagrams the queue of an interface has sent before that is replaced, so that another is told by
// having sent fewer.
const replacedSends = 8

// sendsAnew sends until a datagram has left through a queue that is not the one of the interface that was replaced.
func sendsAnew(t *testing.T, client *client, dp *Datapath, to wsk.SOCKADDR, receives bool) {
	t.Helper()
	eventually(t, "a datagram of a new socket to leave through the new interface", func() bool {
		s := client.socket("0.0.0.0:0")
		defer closeSocket(t, s)
		if status := sendOne(t, s, whole([]byte("x")), to, nil); status != wsk.STATUS_SUCCESS {
			return false // the queue of the old interface may tell only now that this is gone, after the kernel's stack has sent some
		}
		queues := dp.Info().Queues
		return len(queues) == 1 && queues[0].State == "up" && queues[0].Submitted > 0 && queues[0].Submitted < replacedSends &&
			(queues[0].Receive != nil) == receives
	})
}

// TestRenamedInterface: a queue whose interface has another name by now is rebuilt, and receives and sends as before.
func TestRenamedInterface(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{})
	p := bind(t, dp, "0.0.0.0:7985")
	s := newClientOver(t, dp, dp).socket("0.0.0.0:0")
	to := sockaddr(lab.B.IPv4(), 7985)
	mustSucceed(t, "first", sendOne(t, s, whole([]byte("first")), to, nil))
	h, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	link, err := h.LinkByIndex(lab.A.If.Index())
	for _, step := range []func() error{
		func() error { return err },
		func() error { return h.LinkSetDown(link) }, // before Linux 6.2 only such an interface is renamed
		func() error { return h.LinkSetName(link, "renamed0") },
		func() error { return h.LinkSetUp(link) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	q := dp.devices.Known(lab.A.If.Index()).Opened()[0]
	send.BreakDown(q, "the test wants it", nil)
	eventually(t, "a new socket", func() bool { return dp.Info().Queues[0].State != "rebuilding" })
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	if err := sender.Send(netip.AddrPortFrom(lab.A.IPv4(), 7985), []byte("x")); err != nil {
		t.Fatal(err)
	}
	p.wait(1)
	mustSucceed(t, "last", sendOne(t, s, whole([]byte("last")), to, nil))
	if info := dp.Info().Queues[0]; info.State != "up" || info.Receive.Delivered != 1 {
		t.Errorf("%s, %+v", info.State, info.Receive)
	}
}
