// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// neighbouring puts a device that shares the link of A into another namespace, and returns that with the device, and the interface
// that datagrams of the link come in on at A.
type neighbouring struct {
	name string
	make func(t *testing.T, lab *testenv.Lab, ns *testenv.Namespace) (device, on *testenv.Iface)
	late bool // it is there after the datapath
}

func macvlanElsewhere(t *testing.T, lab *testenv.Lab, ns *testenv.Namespace) (device, on *testenv.Iface) {
	t.Helper()
	m, err := lab.A.If.Macvlan("mac0", nil)
	if err != nil {
		t.Fatal(err)
	}
	return moved(t, lab, m.Name(), ns), lab.A.If
}

// moved is a device of A in another namespace, with an address in the network.
func moved(t *testing.T, lab *testenv.Lab, name string, ns *testenv.Namespace) *testenv.Iface {
	t.Helper()
	h, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	l, err := h.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.LinkSetNsFd(l, ns.FD()); err != nil {
		t.Fatal(err)
	}
	i, err := testenv.FindIface(ns, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(i.AddAddr(netip.MustParsePrefix("10.77.0.7/24")), i.AddAddr(netip.MustParsePrefix("fd77::7/64")), i.SetUp()); err != nil {
		t.Fatal(err)
	}
	return i
}

func bridgeElsewhere(t *testing.T, lab *testenv.Lab, ns *testenv.Namespace) (device, on *testenv.Iface) {
	t.Helper()
	bridge, err := lab.A.If.Bridge("br0", lab.A.Addrs...)
	if err != nil {
		t.Fatal(err)
	}
	h, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = "port0", bridge.Index()
	veth := netlink.NewVeth(attrs)
	veth.PeerName = "far0"
	if err := errors.Join(h.LinkAdd(veth), h.LinkSetUp(veth)); err != nil {
		t.Fatal(err)
	}
	return moved(t, lab, "far0", ns), bridge
}

// TestOthersGetGroups: members and listeners that share the link in another namespace, as containers do, get the groups and broadcasts
// that WSK sockets here get, each once, as they would beside sockets of the kernel's.
func TestOthersGetGroups(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	for _, kind := range []neighbouring{
		{"macvlan", macvlanElsewhere, false},
		{"macvlan that comes later", macvlanElsewhere, true},
		{"bridge", bridgeElsewhere, false},
	} {
		t.Run(kind.name, func(t *testing.T) {
			lab, ns := testenv.NewLabT(t, testenv.Topology{}), testenv.NewNamespaceT(t)
			if err := lab.B.If.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), lab.A.IPv4()); err != nil { // for the limited broadcast
				t.Fatal(err)
			}
			var there, on *testenv.Iface
			if !kind.late {
				there, on = kind.make(t, lab, ns)
			}
			dp := openDatapath(t, lab, Options{Receive: []string{lab.A.If.Name()}})
			if kind.late {
				there, on = kind.make(t, lab, ns)
			}
			for n, to := range []string{"239.7.12.1", "ff15::7c01", "10.77.0.255", "255.255.255.255"} {
				othersGet(t, lab, dp, on, there, netip.AddrPortFrom(netip.MustParseAddr(to), uint16(7990+n)))
			}
		})
	}
}

// othersGet sends to a group or broadcast address from B, and expects each datagram at the WSK socket and at the device that is there.
func othersGet(t *testing.T, lab *testenv.Lab, dp *Datapath, on, there *testenv.Iface, to netip.AddrPort) {
	t.Helper()
	local := netip.AddrPortFrom(wildcard(to.Addr()), to.Port())
	p := bind(t, dp, local.String())
	opts := testenv.UDPReceiverOptions{Interface: there.Index()}
	if to.Addr().IsMulticast() {
		opts.Groups = []netip.Addr{to.Addr()}
		mustSucceed(t, "join", p.Change(wsk.Membership{Group: to.Addr().As16(), IfIndex: uint32(on.Index())}))
	}
	other := testenv.NewUDPReceiverT(t, there.Namespace(), local, opts)
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Interface: lab.B.If.Index(), Source: netip.AddrPortFrom(local.Addr(), 0)})
	send := func(payload string) {
		t.Helper()
		if err := sender.Send(to, []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	heard := func() map[string]int {
		got := make(map[string]int)
		for _, d := range other.Datagrams() {
			got[string(d.Payload)]++
		}
		return got
	}
	eventually(t, fmt.Sprintf("a datagram to %v at %s", to, there.Name()), func() bool {
		send("probe")
		return heard()["probe"] > 0
	})
	const n = 10
	for i := range n {
		send(fmt.Sprintf("datagram %d", i))
	}
	ours := make(map[string]int)
	last := fmt.Sprintf("datagram %d", n-1)
	eventually(t, fmt.Sprintf("all datagrams to %v", to), func() bool {
		for _, d := range p.take() {
			ours[string(d.Payload)]++
			if cast := map[bool]wsk.Cast{true: wsk.Multicast, false: wsk.Broadcast}[to.Addr().IsMulticast()]; d.Cast != cast {
				t.Errorf("%s", describe(&d))
			}
		}
		return ours[last] > 0 && heard()[last] > 0
	})
	for i := range n {
		if what := fmt.Sprintf("datagram %d", i); ours[what] != 1 || heard()[what] != 1 {
			t.Errorf("%s to %v came %d times to the WSK socket and %d times to %s", what, to, ours[what], heard()[what], there.Name())
		}
	}
}
