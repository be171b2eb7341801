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
		Source: source, Destination: to.WithZone("").Unmap(), DestinationPort: p.Port, Out: p.Interface, Owner: int64(os.Geteuid()), Elsewhere: p.Kind == unicast,
	}
	back := netfilter.Datagram{Source: there.Destination, Destination: source, SourcePort: p.Port, In: p.Interface, Owner: -1}
	if tracked {
		there.State, back.State = netfilter.New, netfilter.Established
	}
	if l, err := netlink.LinkByName(p.Interface); err == nil {
		there.OutIndex, back.InIndex = l.Attrs().Index, l.Attrs().Index
		there.Masquerade = onlyAddress(l, to)
		there.Ambiguous = ofVRF(l)
		back.Ambiguous = there.Ambiguous
	}
	judged := rules.Judge(there, netfilter.Output, netfilter.Postrouting)
	back.Translated = judged.Translates != netfilter.No
	switch { // answers belong to a connection that has been seen
	case !tracked, judged.Untracked == netfilter.No:
	case judged.Untracked == netfilter.Yes:
		back.State = netfilter.New
	default:
		back.State = 0
	}
	if p.Kind == unicast && source.IsValid() {
		back := rules.Judge(back, netfilter.Ingress, netfilter.Prerouting, netfilter.Input)
		answers = &back
	}
	return &judged, answers
}

// ofVRF is whether an interface is of a VRF: rules see what passes it twice, with each name.
func ofVRF(l netlink.Link) bool {
	const kind = "vrf"
	if l.Type() == kind || l.Attrs().MasterIndex == 0 {
		return l.Type() == kind
	}
	master, err := netlink.LinkByIndex(l.Attrs().MasterIndex)
	return err != nil || master.Type() == kind
}

// onlyAddress is the address of the destination's family that an interface has, if it has one alone: what it masquerades with. Those of
// IPv6 that are link-local don't count, for they are for destinations that are.
func onlyAddress(l netlink.Link, to netip.Addr) (only netip.Addr) {
	if to.Is6() && to.IsLinkLocalUnicast() {
		return netip.Addr{}
	}
	list, err := testenv.Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(l, family(to)) })
	if err != nil {
		return netip.Addr{}
	}
	for _, x := range list {
		a, ok := netip.AddrFromSlice(x.IP)
		switch {
		case !ok, a.Unmap().Is6() && a.IsLinkLocalUnicast():
		case a.Unmap().Is4() && x.Scope != int(netlink.SCOPE_UNIVERSE): // which may not be the one, and then another interface's is
			return netip.Addr{}
		case only.IsValid():
			return netip.Addr{}
		default:
			only = a.Unmap()
		}
	}
	return only
}
