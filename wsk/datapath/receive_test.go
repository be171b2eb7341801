// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// checkDatagram compares a datagram with what was sent.
func checkDatagram(t *testing.T, d *wsk.Datagram, payload []byte, from netip.AddrPort, to netip.Addr, tos, ttl uint8) {
	t.Helper()
	source := netip.AddrPortFrom(netip.AddrFrom16(d.Source.Addr).Unmap(), d.Source.Port)
	if !bytes.Equal(d.Payload, payload) || source != from || netip.AddrFrom16(d.Destination).Unmap() != to || d.TOS != tos ||
		d.TTL != ttl || d.Err != nil || d.Segment != 0 {
		t.Errorf("got %s; want %d bytes from %v to %v, TTL %d TOS %#x", describe(d), len(payload), from, to, ttl, tos)
	}
}

// TestReceiveUnicast: what the kernel of a neighbour sends arrives through AF_XDP, with everything that came with it.
//
// Checklist item 59.
func TestReceiveUnicast(t *testing.T) {
	for _, offloads := range []bool{false, true} {
		lab, dp := receiveLab(t, testenv.Topology{Offloads: offloads}, Options{})
		sizes := []int{0, 1, 2, 17, 18, 512, 1471, 1472}
		for _, tc := range []struct{ bind, from, to string }{
			{"10.77.0.1:7100", "10.77.0.2:7200", "10.77.0.1"},
			{"0.0.0.0:7101", "10.77.0.2:7201", "10.77.0.1"},
			{"[fd77::1]:7102", "[fd77::2]:7202", "fd77::1"},
			{"[::]:7103", "[fd77::2]:7203", "fd77::1"},
		} {
			t.Run(tc.bind, func(t *testing.T) {
				p := bind(t, dp, tc.bind)
				from, to := netip.MustParseAddrPort(tc.from), netip.MustParseAddr(tc.to)
				sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Source: from, TOS: 0x2a, TTL: 77})
				before, redirected := received(t, dp), programCounters(dp)
				for i, n := range sizes {
					if to.Is6() && n > 1452 {
						sizes[i] = 1452
						n = 1452
					}
					if err := sender.Send(netip.AddrPortFrom(to, p.addr().Port()), pattern(n)); err != nil {
						t.Fatal(err)
					}
				}
				for i, d := range p.wait(len(sizes)) {
					checkDatagram(t, &d, pattern(sizes[i]), from, to, 0x2a, 77)
					if d.Cast != wsk.Unicast || int(d.IfIndex) != lab.A.If.Index() {
						t.Errorf("cast %d, interface %d", d.Cast, d.IfIndex)
					}
				}
				after := received(t, dp)
				if after.Delivered-before.Delivered != uint64(len(sizes)) {
					t.Errorf("%d came through AF_XDP, want %d", after.Delivered-before.Delivered, len(sizes))
				}
				if got := programCounters(dp).Sub(redirected)[bpf.ReasonRedirected]; got != uint64(len(sizes)) {
					t.Errorf("%d frames redirected", got)
				}
				if partial := after.Partial - before.Partial; (partial != 0) != offloads {
					t.Errorf("%d partial checksums, offloads %v", partial, offloads)
				}
			})
		}
	}
}
