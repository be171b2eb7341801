// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestLooped: sockets of this host get the groups that they have joined and broadcasts, whoever on the host sends them, as the
// wire gets them, once. Without a member here a group goes through AF_XDP.
func TestLooped(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{})
	if err := lab.A.If.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), lab.B.IPv4()); err != nil { // for the limited broadcast
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, bind, listen, group, to string }{
		{"v4 group", "0.0.0.0:7860", "0.0.0.0:7861", "239.7.13.1", "239.7.13.1:7861"},
		{"v6 group", "[::]:7862", "[::]:7863", "ff15::7d01", "[ff15::7d01]:7863"},
		{"subnet broadcast", "0.0.0.0:7864", "0.0.0.0:7865", "", "10.77.0.255:7865"},
		{"limited broadcast", "0.0.0.0:7866", "0.0.0.0:7867", "", "255.255.255.255:7867"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := netip.MustParseAddrPort(tc.to)
			listener := func(h *testenv.Host) *testenv.UDPReceiver {
				opts := testenv.UDPReceiverOptions{Interface: h.If.Index()}
				if tc.group != "" {
					opts.Groups = []netip.Addr{netip.MustParseAddr(tc.group)}
				}
				return testenv.NewUDPReceiverT(t, h.NS, netip.MustParseAddrPort(tc.listen), opts)
			}
			s := c.socket(tc.bind)
			index := uint32(lab.A.If.Index())
			switch {
			case to.Addr().Is6():
				option(t, s, wsk.IPPROTO_IPV6, wsk.IPV6_MULTICAST_IF, index)
			case tc.group != "":
				option(t, s, wsk.IPPROTO_IP, wsk.IP_MULTICAST_IF, []byte{0, 0, byte(index >> 8), byte(index)})
			default:
				option(t, s, wsk.SOL_SOCKET, wsk.SO_BROADCAST, uint32(1))
			}
			control := []byte(nil)
			if tc.group == "" {
				control = wsk.AppendPktinfo(nil, netip.Addr{}, index)
			}
			there := listener(lab.B)
			if tc.group != "" {
				before := c.dp.Info().SlowSent
				mustSucceed(t, "without a member", sendOne(t, s, whole([]byte("nobody")), wsk.NewSockaddr(to), control))
				if c.dp.Info().SlowSent != before {
					t.Error("a group without a member on this host does not go through AF_XDP")
				}
				if _, err := there.Wait(testenv.Context(t, waitLimit), 1); err != nil {
					t.Fatal(err)
				}
			}
			here := listener(lab.A)
			kernel := testenv.NewUDPSenderT(t, lab.A.NS, testenv.UDPSenderOptions{
				Source: netip.AddrPortFrom(netip.MustParseAddrPort(tc.bind).Addr(), 0), Interface: lab.A.If.Index()})
			if err := kernel.Send(to, []byte("kernel")); err != nil {
				t.Fatal(err)
			}
			// Another program's membership is known after a moment.
			ours := func(r *testenv.UDPReceiver) (n int) {
				for _, d := range r.Datagrams() {
					if string(d.Payload) == "ours" {
						n++
					}
				}
				return n
			}
			eventually(t, "a datagram on this host", func() bool {
				mustSucceed(t, "SendTo", sendOne(t, s, whole([]byte("ours")), wsk.NewSockaddr(to), control))
				return ours(here) > 0
			})
			const n = 10
			for range n {
				mustSucceed(t, "SendTo", sendOne(t, s, whole([]byte("counted")), wsk.NewSockaddr(to), control))
			}
			for name, r := range map[string]*testenv.UDPReceiver{"this host": here, "the other host": there} {
				var got []string
				eventually(t, "all datagrams on "+name, func() bool {
					got = got[:0]
					for _, d := range r.Datagrams() {
						if string(d.Payload) == "counted" {
							got = append(got, string(d.Payload))
						}
					}
					return len(got) >= n
				})
				kernels := func(d testenv.Datagram) bool { return string(d.Payload) == "kernel" }
				if len(got) != n || !slices.ContainsFunc(r.Datagrams(), kernels) {
					t.Errorf("%s got %d of %d", name, len(got), n)
				}
			}
		})
	}
}

// TestLoopedToOwnMember: the next datagram after a join of ours reaches the member.
func TestLoopedToOwnMember(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{})
	group := netip.MustParseAddr("239.7.13.2")
	s := c.socket("10.77.0.1:7868")
	index := uint32(lab.A.If.Index())
	option(t, s, wsk.IPPROTO_IP, wsk.IP_MULTICAST_IF, []byte{0, 0, byte(index >> 8), byte(index)})
	member := bind(t, c.dp, "0.0.0.0:7869")
	for range 3 {
		mustSucceed(t, "before", sendOne(t, s, whole([]byte("before")), sockaddr(group, 7869), nil))
		m := wsk.Membership{Group: group.As16(), IfIndex: index}
		mustSucceed(t, "join", member.Change(m))
		slow := c.dp.Info().SlowSent
		mustSucceed(t, "after", sendOne(t, s, whole([]byte("after")), sockaddr(group, 7869), nil))
		if c.dp.Info().SlowSent == slow {
			t.Fatal("the kernel did not send what a member on this host is to get")
		}
		if d := member.wait(1)[0]; string(d.Payload) != "after" || d.Cast != wsk.Multicast {
			t.Errorf("%s", describe(&d))
		}
		m.Change = wsk.LeaveGroup
		mustSucceed(t, "leave", member.Change(m))
	}
}
