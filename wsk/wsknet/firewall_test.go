// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/nftables"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/firewall"
)

// TestFirewallErrno: what the host's rules for output refuse is EPERM, as with the kernel's socket, and a route of type
// prohibit EACCES (TestMark).
func TestFirewallErrno(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	err := firewall.Apply(lab.A.NS, nftables.TableFamilyIPv4, firewall.Stateful(),
		firewall.Chain{Hook: nftables.ChainHookOutput, Rules: []firewall.Rule{firewall.DropPort(9)}})
	if err != nil {
		t.Fatal(err)
	}
	var anchor conn // keeps the shared stack, and with it the queue, open
	in(t, lab.A, func() (err error) {
		anchor, err = ofWsknet.listenUDP("udp4", nil)
		return err
	})
	defer anchor.Close()
	b, err := pcKernel(lab.B).Listen("udp4", netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := exchange(anchor, b, at(lab.B.IPv4(), b)); err != nil {
		t.Fatal(err)
	}
	for _, to := range []netip.AddrPort{
		netip.AddrPortFrom(lab.B.IPv4(), 10), netip.AddrPortFrom(lab.B.IPv4(), 9), netip.AddrPortFrom(lab.A.IPv4(), 9),
	} {
		var want, got string
		for _, f := range []functions{ofNet, ofWsknet} {
			var c conn
			in(t, lab.A, func() (err error) {
				c, err = f.listenUDP("udp4", nil)
				return err
			})
			list := ""
			for range 2 {
				_, err := c.WriteToUDPAddrPort([]byte("x"), to)
				list += fmt.Sprintf("%s (%s); ", told(err), errnoOf(err))
			}
			c.Close()
			if f.name == "net" {
				want = list
			} else {
				got = list
			}
		}
		if got != want {
			t.Errorf("to %v: %s\n   the kernel %s", to, got, want)
		}
	}
}
