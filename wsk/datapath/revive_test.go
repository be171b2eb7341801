// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestInterfaceComesBack deletes an interface that is received on and makes another of its name: a socket on any address, which
// lived on, receives through it by AF_XDP again, and sends through a queue that receives too.
func TestInterfaceComesBack(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{})
	any := bind(t, dp, "0.0.0.0:7950")
	name, peer := lab.A.If.Name(), lab.B.If.Name()
	if err := lab.A.If.Delete(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deletion to be known", func() bool { return len(dp.Info().Programs) == 0 })
	if !dp.devices.Awaits(name) {
		t.Error("nobody waits for the interface to come back")
	}
	comeBack(t, lab, name, peer)
	eventually(t, "the interface to be received on", func() bool {
		info := dp.Info()
		return len(info.Programs) == 1 && info.Programs[0].Ports == 1 && len(info.Queues) == 1
	})
	before := received(t, dp).Frames
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	if err := sender.Send(netip.MustParseAddrPort("10.77.0.1:7950"), []byte("again")); err != nil {
		t.Fatal(err)
	}
	if got := any.catcher.wait(1); string(got[0].Payload) != "again" {
		t.Errorf("received %q", got[0].Payload)
	}
	if n := received(t, dp).Frames - before; n != 1 {
		t.Errorf("%d frames came through AF_XDP, want 1", n)
	}
	if dp.devices.Awaits(name) {
		t.Error("the interface is still waited for")
	}
}

// TestSocketOutlivesInterface: a socket that is bound to no address outlives the interface that it has sent through, and
// sends through the one that comes in its place, as the kernel's own does. What is sent meanwhile fails; the socket above
// hears of no end.
func TestSocketOutlivesInterface(t *testing.T) {
	for _, way := range []struct {
		name string
		lab  func(t *testing.T) (*testenv.Lab, *client)
	}{
		{"AF_XDP", func(t *testing.T) (*testenv.Lab, *client) {
			return newLab(t, testenv.Topology{NoIPv6: true}, Options{})
		}},
		{"kernel", func(t *testing.T) (*testenv.Lab, *client) { return slowLab(t, testenv.Topology{NoIPv6: true}) }},
	} {
		t.Run(way.name, func(t *testing.T) {
			lab, c := way.lab(t)
			to := netip.AddrPortFrom(lab.B.IPv4(), 7955)
			kernel := testenv.NewUDPSenderT(t, lab.A.NS, testenv.UDPSenderOptions{})
			ours := c.socket("0.0.0.0:0")
			name, peer := lab.A.If.Name(), lab.B.If.Name()
			for round := range 3 {
				receiver := testenv.NewUDPReceiverT(t, lab.B.NS, to, testenv.UDPReceiverOptions{})
				eventually(t, "the kernel's socket to send", func() bool { return kernel.Send(to, []byte("kernel")) == nil })
				eventually(t, fmt.Sprintf("our socket to send in round %d", round), func() bool {
					return sendOne(t, ours, whole([]byte("ours")), wsk.NewSockaddr(to), nil) == wsk.STATUS_SUCCESS
				})
				_, err := receiver.Wait(testenv.Context(t, waitLimit), 2)
				if err != nil {
					t.Fatal(err)
				}
				receiver.Close()
				if err := lab.A.If.Delete(); err != nil {
					t.Fatal(err)
				}
				if kernel.Send(to, nil) == nil {
					t.Error("the kernel's socket sends without an interface")
				}
				eventually(t, "our socket to fail", func() bool {
					return sendOne(t, ours, whole([]byte("x")), wsk.NewSockaddr(to), nil) == wsk.STATUS_NETWORK_UNREACHABLE
				})
				comeBack(t, lab, name, peer)
			}
		})
	}
}

// comeBack makes a veth pair in the place of one that was deleted.
func comeBack(t *testing.T, lab *testenv.Lab, name, peer string) {
	t.Helper()
	comeBackAs(t, lab, name, peer, 0)
}

// comeBackAs is comeBack with an index; 0 leaves that to the kernel.
func comeBackAs(t *testing.T, lab *testenv.Lab, name, peer string, index int) {
	t.Helper()
	h, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Index = name, index
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace = peer, netlink.NsFd(lab.B.NS.FD())
	if err := h.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	// One end must be up for the other to get a carrier.
	if err := lab.A.NS.Do(func() error { return linkUpNow(name) }); err != nil {
		t.Fatal(err)
	}
	for _, end := range []struct {
		host *testenv.Host
		name string
		addr string
	}{{lab.B, peer, "10.77.0.2/24"}, {lab.A, name, "10.77.0.1/24"}} {
		if end.host.If, err = testenv.FindIface(end.host.NS, end.name); err != nil {
			t.Fatal(err)
		}
		if err := end.host.If.AddAddr(netip.MustParsePrefix(end.addr)); err != nil {
			t.Fatal(err)
		}
		if err := end.host.If.SetUp(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSendWhileInterfaceComesBack: who sends through an interface that has just come back waits until it is received on. Nobody opens
// a queue of it before its program is there.
func TestSendWhileInterfaceComesBack(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{})
	c := newClientOver(t, dp, dp)
	s := c.socket("0.0.0.0:7951")
	name, peer := lab.A.If.Name(), lab.B.If.Name()
	for range 3 {
		if err := lab.A.If.Delete(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the deletion to be known", func() bool { return len(dp.Info().Programs) == 0 })
		stop := make(chan struct{})
		var senders sync.WaitGroup
		for i := range 2 {
			senders.Go(func() {
				for port := uint16(1000 * (i + 1)); ; port++ {
					select {
					case <-stop:
						return
					default:
						// Each destination is a flow that is looked up anew.
						sendOne(t, s, whole([]byte("x")), sockaddr(lab.B.IPv4(), port), nil)
					}
				}
			})
		}
		comeBack(t, lab, name, peer)
		eventually(t, "the interface to be received on", func() bool { return len(dp.Info().Programs) == 1 && !dp.devices.Awaits(name) })
		close(stop)
		senders.Wait()
		if q := dp.Info().Queues[0]; q.Receive == nil {
			t.Errorf("the queue does not receive: %+v", q)
		}
	}
}

// linkUpNow sets an interface of this thread's namespace up and waits for nothing.
func linkUpNow(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

// TestInterfaceComesBackHeld: an interface that comes back with somebody else's program on it is left to the kernel's stack, with nothing
// of an attempt that failed, and received on when that program is gone.
func TestInterfaceComesBackHeld(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{})
	p := bind(t, dp, "0.0.0.0:7952")
	s := newClientOver(t, dp, dp).socket("0.0.0.0:0")
	to := sockaddr(lab.B.IPv4(), 7953)
	mustSucceed(t, "before", sendOne(t, s, whole([]byte("x")), to, nil))
	name, peer := lab.A.If.Name(), lab.B.If.Name()
	again := func() { // as after device.reviveRetry
		dp.devices.Mu.Lock()
		if r := dp.devices.Missing[name]; r != nil {
			r.NotBefore = time.Time{}
		}
		dp.devices.Mu.Unlock()
		dp.watchers.wake()
	}
	if err := lab.A.If.Delete(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deletion to be known", func() bool { return len(dp.Info().Programs) == 0 })
	foreign, err := bpf.Load(bpf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	dp.devices.Mu.Lock()
	dp.devices.Missing[name].NotBefore = time.Now().Add(time.Hour)
	dp.devices.Mu.Unlock()
	comeBack(t, lab, name, peer)
	index := lab.A.If.Index()
	if err := lab.A.NS.Do(func() error { _, err := foreign.Attach(index, bpf.Generic); return err }); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		again()
		eventually(t, "an attempt that fails", func() bool {
			dp.devices.Mu.Lock()
			defer dp.devices.Mu.Unlock()
			return dp.devices.Missing[name] != nil && !dp.devices.Missing[name].NotBefore.IsZero()
		})
		eventually(t, "nothing of it to be left", func() bool { return dp.devices.Known(index) == nil })
	}
	slow := dp.Info().SlowSent
	mustSucceed(t, "meanwhile", sendOne(t, s, whole([]byte("x")), to, nil))
	if n := dp.Info().SlowSent; n != slow+1 {
		t.Error("it did not go through the kernel's stack")
	}
	if err := foreign.Close(); err != nil {
		t.Fatal(err)
	}
	again()
	eventually(t, "the interface to be received on", func() bool { return !dp.devices.Awaits(name) })
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	if err := sender.Send(netip.MustParseAddrPort("10.77.0.1:7952"), []byte("again")); err != nil {
		t.Fatal(err)
	}
	p.wait(1)
	if r := received(t, dp); r.Delivered != 1 {
		t.Errorf("%+v", r)
	}
	eventually(t, "the flow to be found a queue", func() bool {
		sendOne(t, s, whole([]byte("x")), to, nil) // the kernel's stack tells of the port that nobody has there
		for _, q := range dp.Info().Queues {
			if q.Submitted > 0 {
				return true
			}
		}
		return false
	})
}
