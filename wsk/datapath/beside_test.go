// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// TestChangesBeside has links, addresses and neighbours come and go that no datagram has to do with: a sender looks for its
// way no more than before, and the kernel is asked nothing.
func TestChangesBeside(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Shape: testenv.Routed}, Options{})
	routes := &counted{Table: c.dp.routes.(*route.Table)}
	c.dp.setRoutes(routes)
	h, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	do := func(steps ...error) {
		t.Helper()
		for _, err := range steps {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	pair := func(name string) *testenv.Iface {
		t.Helper()
		do(h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "-end"}))
		i, err := testenv.FindIface(lab.A.NS, name)
		do(err, i.StartUp())
		return i
	}
	beside := pair("beside")
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), 7013), testenv.UDPReceiverOptions{})
	s := c.socket("0.0.0.0:0")
	sent := 0
	send := func() {
		t.Helper()
		mustSucceed(t, "SendTo", sendOne(t, s, whole(pattern(18)), sockaddr(lab.B.IPv4(), 7013), nil))
		sent++
	}
	const changes = 100
	testenv.Eventually(t, waitLimit, "changes without look-ups", func() bool {
		send()
		before, asked := routes.n.Load(), c.dp.Info().RoutesAsked
		for n := range changes {
			i := pair("comes")
			do(i.AddAddr(netip.MustParsePrefix("10.99.0.1/24")))
			neighbour := netip.AddrFrom4([4]byte{10, 99, 1, byte(n)})
			do(beside.SetNeighbour(neighbour, net.HardwareAddr{2, 0, 0, 0, 1, byte(n)}))
			known := func() bool { _, ok := routes.NeighbourNow(beside.Index(), neighbour); return ok }
			testenv.Eventually(t, waitLimit, "a neighbour", known)
			send()
			do(beside.SetNeighbour(neighbour, net.HardwareAddr{2, 0, 0, 0, 2, byte(n)}), i.Delete())
			testenv.Eventually(t, waitLimit, "the link to go", func() bool { _, there := routes.DeviceByName("comes"); return !there })
			send()
		}
		return routes.n.Load() == before && maps.Equal(c.dp.Info().RoutesAsked, asked)
	})
	if _, err := receiver.Wait(testenv.Context(t, waitLimit), sent); err != nil {
		t.Error(err)
	}
}

// TestSendsAsTheKernelAfterChanges: what changes of the way of a datagram, the next one goes by, as that of the kernel's
// socket does: to the same MAC address from the same, with the same source.
func TestSendsAsTheKernelAfterChanges(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{})
	capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
	to := netip.AddrPortFrom(lab.B.IPv4(), 7014)
	ours, kernels := c.socket("0.0.0.0:0"), testenv.NewUDPSenderT(t, lab.A.NS, testenv.UDPSenderOptions{})
	df := c.socket("0.0.0.0:0")
	option(t, df, wsk.IPPROTO_IP, wsk.IP_DONTFRAGMENT, uint32(1))
	refuses := func() bool {
		return sendOne(t, df, whole(pattern(1440)), sockaddr(to.Addr(), to.Port()), nil) == wsk.STATUS_INVALID_BUFFER_SIZE
	}
	n := 0
	way := func(send func(payload []byte)) string {
		n++
		payload := fmt.Appendf(nil, "datagram %d of %s", n, t.Name())
		send(payload)
		f, err := capture.Wait(testenv.Context(t, waitLimit), func(f testenv.Frame) bool { return bytes.Contains(f.Data, payload) })
		if err != nil {
			t.Fatal(err)
		}
		p, err := testenv.Decode(f.Data)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("from %v (%v) to %v", p.Source, p.SourceMAC, p.DestinationMAC)
	}
	if refuses() {
		t.Fatal("1440 bytes do not fit")
	}
	a, other := lab.A.If, net.HardwareAddr{2, 0, 0, 0, 0x14, 1}
	for _, step := range []struct {
		name   string
		change func() error
	}{
		{"nothing", func() error { return nil }},
		{"MAC of the neighbour", func() error { return a.SetNeighbour(to.Addr(), other) }},
		{"MAC of the device", func() error { return a.SetMAC(net.HardwareAddr{2, 0, 0, 0, 0x14, 2}) }},
		{"the neighbour's again", func() error { return a.SetNeighbour(to.Addr(), lab.B.If.MAC()) }},
		{"another address", func() error { return a.AddAddr(netip.MustParsePrefix("10.77.0.14/24")) }},
		{"the first address deleted", func() error {
			if err := lab.A.NS.Sysctl("ipv4/conf/all/promote_secondaries", "1"); err != nil {
				return err
			}
			return a.DeleteAddr(netip.PrefixFrom(lab.A.IPv4(), 24))
		}},
		{"neighbour set again", func() error { return a.SetNeighbour(to.Addr(), lab.B.If.MAC()) }},
		{"reverse path filter", func() error { return lab.A.NS.Sysctl("ipv4/conf/all/rp_filter", "1") }},
		{"forwarding", func() error { return lab.A.NS.Sysctl("ipv4/conf/all/forwarding", "1") }},
	} {
		if err := step.change(); err != nil {
			t.Fatal(step.name, err)
		}
		want := way(func(b []byte) {
			if err := kernels.Send(to, b); err != nil {
				t.Fatal(step.name, err)
			}
		})
		got := ""
		testenv.Eventually(t, waitLimit, step.name+": a datagram "+want, func() bool {
			got = way(func(b []byte) {
				mustSucceed(t, "SendTo", sendOne(t, ours, whole(b), sockaddr(to.Addr(), to.Port()), nil))
			})
			return got == want
		})
	}
	if err := a.SetMTU(1300); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, waitLimit, "the smaller MTU", refuses)
	if info := c.dp.Info(); info.SlowSent != 0 || len(info.Queues) != 1 || info.Queues[0].Submitted == 0 {
		t.Errorf("%d through the kernel's stack: the test does not test", info.SlowSent)
	}
}
