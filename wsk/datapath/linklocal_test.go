// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestLinkLocalScope: the scope of a link-local source is the interface.
func TestLinkLocalScope(t *testing.T) {
	eachWay(t, testenv.Topology{}, func(t *testing.T, lab *testenv.Lab, dp *Datapath) {
		ll := netip.MustParsePrefix("fe80::77/64")
		if err := lab.B.If.AddAddr(ll); err != nil {
			t.Fatal(err)
		}
		if err := lab.A.If.AddAddr(netip.MustParsePrefix("fe80::a/64")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the address", func() bool {
			_, ok := dp.routes.AddressDevice(netip.MustParseAddr("fe80::a"))
			return ok
		})
		sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{
			Source: netip.AddrPortFrom(ll.Addr(), 0), Interface: lab.B.If.Index()})
		for _, local := range []string{"[::]:7515", fmt.Sprintf("[fe80::a%%%d]:7516", lab.A.If.Index())} {
			p := bind(t, dp, local)
			to := netip.AddrPortFrom(netip.MustParseAddr("fe80::a"), p.addr().Port())
			if err := sender.Send(to, []byte("x")); err != nil {
				t.Fatal(err)
			}
			d := p.wait(1)[0]
			if int(d.Source.Scope) != lab.A.If.Index() || d.Source.Addr != ll.Addr().As16() {
				t.Errorf("scope %d: %s", d.Source.Scope, describe(&d))
			}
		}
	})
}
