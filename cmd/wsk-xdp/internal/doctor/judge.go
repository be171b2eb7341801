// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netfilter"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// judge works out what nftables does to a datagram to the destination, and to one that comes back, on a thread in the namespace.
func judge(rules *netfilter.Rules, tracked bool, p *PathFacts) (out, answers *netfilter.Judgement) {
	to, err := netip.ParseAddr(p.Destination)
	if err != nil {
		return nil, nil
	}
	source, _ := netip.ParseAddr(p.Source)
	there := netfilter.Datagram{
		Source: source, Destination: to.WithZone(""), DestinationPort: p.Port, Out: p.Interface, Owner: int64(os.Geteuid()),
	}
	back := netfilter.Datagram{Source: there.Destination, Destination: source, SourcePort: p.Port, In: p.Interface, Owner: -1}
	if tracked {
		there.State, back.State = netfilter.New, netfilter.Established
	}
	if l, err := netlink.LinkByName(p.Interface); err == nil {
		there.OutIndex, back.InIndex = l.Attrs().Index, l.Attrs().Index
		there.Masquerade = onlyAddress(l, to)
	}
	judged := rules.Judge(there, netfilter.Output, netfilter.Postrouting)
	if p.Kind == unicast && source.IsValid() {
		back := rules.Judge(back, netfilter.Ingress, netfilter.Prerouting, netfilter.Input)
		answers = &back
	}
	return &judged, answers
}

// onlyAddress is the address of the destination's family that an interface has, if it has one alone besides its link-local one: what it
// masquerades with.
func onlyAddress(l netlink.Link, to netip.Addr) (only netip.Addr) {
	list, err := testenv.Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(l, family(to)) })
	if err != nil {
		return netip.Addr{}
	}
	for _, x := range list {
		a, ok := netip.AddrFromSlice(x.IP)
		switch {
		case !ok, a.IsLinkLocalUnicast():
		case only.IsValid():
			return netip.Addr{}
		default:
			only = a.Unmap()
		}
	}
	return only
}
