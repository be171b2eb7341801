// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// TestManyBehindAGateway sends to two thousand destinations behind one gateway, over IPv4 and IPv6: all arrive where they are sent, their
// way is looked for a few times, and so it is when the gateway gets another MAC.
func TestManyBehindAGateway(t *testing.T) {
	const many, burst = 2000, 50
	lab, c := newLab(t, testenv.Topology{}, Options{})
	routes := &counted{Table: c.dp.routes.(*route.Table)}
	c.dp.setRoutes(routes)
	far, err := lab.B.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	for name, family := range map[string]struct {
		behind, local string
		gateway       netip.Addr
	}{
		"IPv4": {"198.51.100.0/22", "0.0.0.0:0", lab.B.IPv4()}, "IPv6": {"2001:db8:7::/64", "[::]:0", lab.B.IPv6()},
	} {
		t.Run(name, func(t *testing.T) {
			behind := netip.MustParsePrefix(family.behind).Masked()
			_, dst, _ := net.ParseCIDR(behind.String())
			lo, err := far.LinkByName("lo")
			if err != nil {
				t.Fatal(err)
			}
			all := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: dst, Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL, Scope: unix.RT_SCOPE_HOST}
			if err := far.RouteAdd(all); err != nil {
				t.Fatal(err)
			}
			if err := lab.A.If.AddRoute(behind, family.gateway); err != nil {
				t.Fatal(err)
			}
			to := func(i int) netip.Addr {
				b := behind.Addr().As16()
				binary.BigEndian.PutUint16(b[14:], binary.BigEndian.Uint16(b[14:])+uint16(1+i%1000))
				return netip.AddrFrom16(b).Unmap()
			}
			at := netip.AddrPortFrom(netip.IPv4Unspecified(), 7040)
			if !family.gateway.Is4() {
				at = netip.AddrPortFrom(netip.IPv6Unspecified(), 7041)
			}
			receiver := testenv.NewUDPReceiverT(t, lab.B.NS, at, testenv.UDPReceiverOptions{})
			s := c.socket(family.local)
			testenv.Eventually(t, waitLimit, "the route", func() bool {
				first := to(0).As16()
				lead, _, _ := routes.Leads(route.Query{Dst: to(0)})(&first, at.Port())
				return lead.IsValid() && sendOne(t, s, whole([]byte("first")), sockaddr(to(0), at.Port()), nil) == wsk.STATUS_SUCCESS
			})
			sent := uint64(0)
			sendAround := func() {
				t.Helper()
				for i := 0; i < many; i += burst {
					var irps []*wsk.IRP
					for n := range burst {
						irp := wsk.AllocateIRP()
						s.SendTo(whole([]byte{byte(i)}), 0, sockaddr(to(i+n), at.Port()), nil, irp)
						irps = append(irps, irp)
					}
					for _, irp := range irps {
						mustSucceed(t, "datagram", await(t, irp))
					}
					sent += burst
				}
			}
			looks := func(what string, do func()) {
				t.Helper()
				before := routes.n.Load()
				do()
				if n := routes.n.Load() - before; n > many/10 {
					t.Errorf("%s: %d ways were looked for", what, n)
				}
			}
			sendOne(t, s, whole([]byte("second")), sockaddr(to(1), at.Port()), nil)
			before := receiver.Count()
			looks("first contact", sendAround)
			looks("again", sendAround)
			if err := receiver.WaitCount(testenv.Context(t, waitLimit), before+sent); err != nil {
				t.Error(err)
			}
			mac := net.HardwareAddr{2, 0, 0, 0, 7, byte(len(family.local))}
			if err := lab.B.If.SetMAC(mac); err != nil {
				t.Fatal(err)
			}
			generation := routes.Generation()
			if err := lab.A.If.SetNeighbour(family.gateway, mac); err != nil {
				t.Fatal(err)
			}
			testenv.Eventually(t, waitLimit, "the MAC to be known", func() bool { return routes.Generation() > generation })
			before, sent = receiver.Count(), 0
			looks("another MAC", sendAround)
			if err := receiver.WaitCount(testenv.Context(t, waitLimit), before+sent); err != nil {
				t.Error(err)
			}
		})
	}
}
