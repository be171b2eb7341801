// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestVLANDevices: what a VLAN device of the other end sends, which leaves the tag beside the frame on veth and in it where
// tx-vlan-offload is off, comes to a WSK socket by the VLAN device of this end, as to one of the kernel's, and not at all without one.
func TestVLANDevices(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{NoIPv6: true}, Options{})
	far, err := lab.B.If.VLAN("far100", 100, netip.MustParsePrefix("10.78.0.2/24"))
	if errors.Is(err, testenv.ErrNotSupported) {
		t.Skipf("%v; make test-vm has kernels with VLAN devices", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	seen := !dp.Info().Programs[0].TagsUnseen
	const ours, kernels = 7998, 7999
	p := bind(t, dp, fmt.Sprintf("0.0.0.0:%d", ours))
	kernel := testenv.NewUDPReceiverT(t, lab.A.NS, netip.MustParseAddrPort(fmt.Sprintf("0.0.0.0:%d", kernels)), testenv.UDPReceiverOptions{})
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Source: netip.MustParseAddrPort("10.78.0.2:0")})
	plain := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Source: netip.MustParseAddrPort("10.77.0.2:0")})
	tagged := netip.MustParseAddr("10.79.0.1") // an address of A that B has a route to by the VLAN
	here := netip.PrefixFrom(tagged, 32)
	if err := errors.Join(lab.A.If.AddAddr(here), far.SetNeighbour(tagged, lab.A.If.MAC()), far.AddRoute(here, netip.Addr{})); err != nil {
		t.Fatal(err)
	}
	toWSK, toHost := make(map[string]int), make(map[string]int)
	both := func(s *testenv.UDPSender, to netip.Addr, payload string) {
		t.Helper()
		for _, port := range []uint16{ours, kernels} {
			if err := s.Send(netip.AddrPortFrom(to, port), []byte(payload)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, beside := range []bool{true, false} {
		if !seen && beside {
			continue // docs/host.md: veth before Linux 6.8
		}
		if err := lab.B.If.SetFeature("tx-vlan-hw-insert", beside); err != nil {
			t.Fatal(err)
		}
		for _, with := range []bool{false, true} {
			what := fmt.Sprintf("tag beside %v, VLAN device %v", beside, with)
			var near *testenv.Iface
			if with {
				if near, err = lab.A.If.VLAN("near100", 100); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the VLAN to be known", func() bool { return dp.hub.Serves(uint32(near.Index())) })
			}
			both(sender, tagged, what)
			both(plain, lab.A.IPv4(), "after "+what)
			eventually(t, "the datagram after "+what, func() bool {
				for _, d := range p.take() {
					toWSK[fmt.Sprintf("%s on %d", d.Payload, d.IfIndex)]++
				}
				clear(toHost)
				for _, d := range kernel.Datagrams() {
					toHost[fmt.Sprintf("%s on %d", d.Payload, d.Ifindex)]++
				}
				after := fmt.Sprintf("after %s on %d", what, lab.A.If.Index())
				at := ""
				if with {
					at = fmt.Sprintf("%s on %d", what, near.Index())
				}
				return toWSK[after] > 0 && toHost[after] > 0 && (at == "" || toWSK[at] > 0 && toHost[at] > 0)
			})
			if len(toWSK) != len(toHost) {
				t.Errorf("%s: the WSK socket got %v, the kernel's %v", what, toWSK, toHost)
			}
			if with {
				if err := near.Delete(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if c := programCounters(dp); c[bpf.ReasonVLAN] == 0 {
		t.Errorf("no frame of a VLAN was passed: %v", c)
	}
}
