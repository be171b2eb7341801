// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netfilter"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/route/conntrack"
)

// RuleFacts are the rules of the host that datagrams are held to, and those that AF_XDP bypasses.
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
	// IngressFilters is the number of those that look at what arrives, IngressPrograms are programs (tcx, netkit) that do.
	IngressFilters  int      `json:"tc_ingress_filters,omitempty"`
	IngressPrograms []string `json:"ingress_programs,omitempty"`
	// Traffic is whether the disciplines, filters and programs of the interface are known.
	Traffic Answer `json:"tc_known"`
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
	// groupIngress are programs of the control group that look at what its sockets get.
	groupIngress []string
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
		err := r.traffic(f.Interface.Name)
		var egress, ingress error
		r.LinkPrograms, egress = linkPrograms(f.Interface.Index, ebpf.AttachTCXEgress, ebpf.AttachNetkitPrimary)
		r.IngressPrograms, ingress = linkPrograms(f.Interface.Index, ebpf.AttachTCXIngress, ebpf.AttachNetkitPeer)
		r.Traffic = known(errors.Join(err, cmp.Or(egress, ingress)))
	}
	r.Groups, r.GroupPrograms, r.groupIngress = groupPrograms()
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

// traffic looks at what tc does to what leaves through an interface and arrives there.
func (r *RuleFacts) traffic(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	qdiscs, err := testenv.Dump(func() ([]netlink.Qdisc, error) { return netlink.QdiscList(l) })
	if err != nil {
		return fmt.Errorf("list the queueing disciplines of %s: %w", name, err)
	}
	var egress, ingress bool
	for _, q := range qdiscs {
		if q.Attrs().Parent == netlink.HANDLE_ROOT {
			r.Qdisc = q.Type()
		}
		egress = egress || q.Type() == "clsact"
		ingress = ingress || q.Type() == "clsact" || q.Type() == "ingress"
	}
	count := func(is bool, parent uint32) (int, error) {
		if !is {
			return 0, nil
		}
		filters, err := testenv.Dump(func() ([]netlink.Filter, error) { return netlink.FilterList(l, parent) })
		if err != nil {
			return 0, fmt.Errorf("list the filters of tc of %s: %w", name, err)
		}
		return len(filters), nil
	}
	if r.EgressFilters, err = count(egress, netlink.HANDLE_MIN_EGRESS); err != nil {
		return err
	}
	r.IngressFilters, err = count(ingress, netlink.HANDLE_MIN_INGRESS)
	return err
}
