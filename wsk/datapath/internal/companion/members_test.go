// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestMembersOfHost: the groups that sockets of the host have joined are known by interface, our own ones at once, those of
// other programs soon.
func TestMembersOfHost(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	index := lab.A.If.Index()
	for _, tc := range []struct{ bind, group string }{{"0.0.0.0:0", "239.7.12.1"}, {"[::]:0", "ff15::7c01"}} {
		group := netip.MustParseAddr(tc.group)
		if h.HasMembers(index, group) {
			t.Errorf("%v has members before anybody has joined", group)
		}
		p := bind(t, h, tc.bind)
		mustSucceed(t, "join", p.Change(wsk.Membership{Group: group.As16(), IfIndex: uint32(index)}))
		if !h.HasMembers(index, group) || h.HasMembers(1, group) {
			t.Errorf("%v: members on the interface %v, on loopback %v", group, h.HasMembers(index, group), h.HasMembers(1, group))
		}
		p.close()
		if h.HasMembers(index, group) {
			t.Errorf("%v has members after the last has left", group)
		}
		other := testenv.NewUDPReceiverT(t, lab.A.NS, netip.MustParseAddrPort(tc.bind), testenv.UDPReceiverOptions{
			Groups: []netip.Addr{group}, Interface: index})
		eventually(t, "the member of another program", func() bool { return h.HasMembers(index, group) })
		other.Close()
		eventually(t, "its end", func() bool { return !h.HasMembers(index, group) })
	}
}

// FuzzMembers: the parsers of the kernel's lists take any text.
func FuzzMembers(f *testing.F) {
	f.Add("Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n2\twsk0      :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n")
	f.Add("1    lo              ff020000000000000000000000000001     1 0000000C 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		joined := make(map[groupKey]struct{})
		parseIGMP(joined, text)
		parseMLD(joined, text)
		for key := range joined {
			if !key.group.IsValid() {
				t.Errorf("%v", key)
			}
		}
	})
}
