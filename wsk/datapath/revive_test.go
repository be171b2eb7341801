// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
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
	if !dp.awaitsIntake(name) {
		t.Error("nobody waits for the interface to come back")
	}
	h, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
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
	eventually(t, "the interface to be received on", func() bool {
		info := dp.Info()
		return len(info.Programs) == 1 && info.Programs[0].Ports == 1 && len(info.Queues) == 1
	})
	before := received(t, dp).Frames
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	if err := sender.Send(netip.MustParseAddrPort("10.77.0.1:7950"), []byte("again")); err != nil {
		t.Fatal(err)
	}
	if got := any.sink.wait(1); string(got[0].Payload) != "again" {
		t.Errorf("received %q", got[0].Payload)
	}
	if n := received(t, dp).Frames - before; n != 1 {
		t.Errorf("%d frames came through AF_XDP, want 1", n)
	}
	if dp.awaitsIntake(name) {
		t.Error("the interface is still waited for")
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
