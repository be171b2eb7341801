// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"log/slog"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netfilter"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/route/conntrack"
)

// RuleFacts are the rules of the host that datagrams are held to, and those that AF_XDP passes by.
type RuleFacts struct {
	// Connections is whether the kernel tracks connections.
	Connections bool `json:"connections_tracked"`
	// Nftables is whether its rules are known; Chains are the base chains that datagrams of this host can meet.
	Nftables Answer            `json:"nftables_known"`
	Chains   []netfilter.Chain `json:"nftables_chains,omitempty"`
	// Iptables is whether it is known that there are rules of the old iptables; IptablesTables have some, which are not read.
	Iptables       Answer   `json:"iptables_known"`
	IptablesTables []string `json:"iptables_tables,omitempty"`
	// IPsecPolicies is whether there are any that can change something, as far as they can be read.
	IPsecPolicies bool `json:"ipsec_policies"`

	// Of the interface.
	ReversePath string `json:"rp_filter,omitempty"` // off, strict or loose
	VRF         string `json:"vrf,omitempty"`
	FromVRFs    bool   `json:"udp_l3mdev_accept,omitempty"`
	// Qdisc is the queueing discipline at its root, EgressFilters the number of filters of tc that look at what leaves.
	Qdisc         string `json:"qdisc,omitempty"`
	EgressFilters int    `json:"tc_egress_filters,omitempty"`
	// LinkPrograms are programs at the egress of the interface (tcx, netkit), GroupPrograms those of the control group of this process that
	// look at what its sockets send; the answers are whether these are known.
	LinkPrograms  []string `json:"egress_programs,omitempty"`
	Groups        Answer   `json:"cgroup_programs_known"`
	GroupPrograms []string `json:"cgroup_programs,omitempty"`

	// Judged is what the rules of nftables do to a datagram to the destination, where one is named, on its way through the kernel's stack;
	// Answers is what they do to one that comes back.
	Judged  *netfilter.Judgement `json:"destination_judged,omitempty"`
	Answers *netfilter.Judgement `json:"answers_judged,omitempty"`

	netfilter netfilter.Rules
}

// rules looks at the host's rules, on a thread in the namespace netns.
func (f *Facts) rules(netns int) error {
	ifindex := 0
	if f.Interface != nil {
		ifindex = f.Interface.Index
	}
	host, err := session.ReadHostRules(netns, ifindex)
	if err != nil {
		return err
	}
	r := &RuleFacts{IPsecPolicies: host.Policies && f.Privilege.Policies == "", netfilter: netfilter.Read()}
	r.Nftables, r.Chains = known(r.netfilter.Err), r.netfilter.Chains
	r.Iptables, r.IptablesTables = known(r.netfilter.LegacyErr), r.netfilter.Legacy
	tracker := conntrack.Open(slog.New(slog.DiscardHandler))
	defer tracker.Close()
	r.Connections = tracker.InUse(f.localAddress())
	if f.Interface != nil {
		f.Interface.Obstacle = host.Obstacle
		r.ReversePath, r.VRF, r.FromVRFs = host.ReversePath.String(), host.VRF, host.FromVRFs
		r.traffic(f.Interface.Name)
		r.LinkPrograms = linkPrograms(f.Interface.Index)
	}
	r.Groups, r.GroupPrograms = groupPrograms()
	if p := f.Path; p != nil && p.Error == "" && r.Nftables.Yes() {
		r.Judged, r.Answers = judge(&r.netfilter, r.Connections, p)
	}
	f.Rules = r
	return nil
}

// localAddress is an address of this host.
func (f *Facts) localAddress() netip.Addr {
	if f.Path != nil {
		if a, err := netip.ParseAddr(f.Path.Source); err == nil {
			return a
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// traffic looks at what tc does to what leaves through an interface.
func (r *RuleFacts) traffic(name string) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return
	}
	qdiscs, err := testenv.Dump(func() ([]netlink.Qdisc, error) { return netlink.QdiscList(l) })
	if err != nil {
		return
	}
	clsact := slices.ContainsFunc(qdiscs, func(q netlink.Qdisc) bool { return q.Type() == "clsact" })
	for _, q := range qdiscs {
		if q.Attrs().Parent == netlink.HANDLE_ROOT {
			r.Qdisc = q.Type()
		}
	}
	if !clsact {
		return
	}
	filters, err := testenv.Dump(func() ([]netlink.Filter, error) { return netlink.FilterList(l, netlink.HANDLE_MIN_EGRESS) })
	if err == nil {
		r.EgressFilters = len(filters)
	}
}
