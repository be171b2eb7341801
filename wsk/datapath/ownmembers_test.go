// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"maps"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestMemberOnMacvlanAndBelow: a socket that has joined a group on a macvlan and on the interface under it gets each datagram once for
// each, as a socket of the kernel's does.
func TestMemberOnMacvlanAndBelow(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{NoIPv6: true}, Options{})
	m, err := lab.A.If.Macvlan("mac0", nil, netip.MustParsePrefix("10.77.0.8/24"))
	if err != nil {
		t.Fatal(err)
	}
	const ours, kernels = 7995, 7996
	group := netip.MustParseAddr("239.7.12.9")
	p := bind(t, dp, fmt.Sprintf("0.0.0.0:%d", ours))
	kernel := testenv.NewUDPReceiverT(t, lab.A.NS, netip.AddrPortFrom(netip.IPv4Unspecified(), kernels), testenv.UDPReceiverOptions{
		Groups: []netip.Addr{group}, Interface: lab.A.If.Index()})
	fd, err := lab.A.NS.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0) // IP_MULTICAST_ALL lets the receiver have what another has joined
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	mreq := &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(m.Index())}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, mreq); err != nil {
		t.Fatal(err)
	}
	for _, on := range []int{lab.A.If.Index(), m.Index()} {
		mustSucceed(t, "join", p.Change(wsk.Membership{Group: group.As16(), IfIndex: uint32(on)}))
	}
	eventually(t, "the group to be the kernel's", func() bool { return dp.Info().Programs[0].Ports == 1 })
	sender := groupSender(t, lab, "10.77.0.2:0")
	toWSK, toHost := make(map[string]int), make(map[string]int)
	const n = 5
	for i := range n {
		for _, port := range []uint16{ours, kernels} {
			if err := sender.Send(netip.AddrPortFrom(group, port), []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "every datagram on both interfaces", func() bool {
		for _, d := range p.take() {
			toWSK[fmt.Sprintf("%d on %d", d.Payload, d.IfIndex)]++
		}
		clear(toHost)
		for _, d := range kernel.Datagrams() {
			toHost[fmt.Sprintf("%d on %d", d.Payload, d.Ifindex)]++
		}
		return len(toWSK) >= 2*n && len(toHost) >= 2*n
	})
	if !maps.Equal(toWSK, toHost) {
		t.Errorf("the WSK socket got %v, the kernel's %v", toWSK, toHost)
	}
}
