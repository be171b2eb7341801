// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netfilter"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// hostRules is about the rules that datagrams are held to, and those that AF_XDP bypasses.
func (c *checker) hostRules(r *RuleFacts) {
	c.connections(r)
	device := ""
	if c.f.Interface != nil {
		device = c.f.Interface.Name
	}
	if r.Nftables.Yes() {
		c.input(r, device)
		c.output(r, device)
		c.translation(r)
	} else {
		c.add("WX-NFT-01", Note, "not known what the rules of nftables are", r.Nftables.Reason, "sudo wsk-xdp doctor, or sudo nft list ruleset")
	}
	c.iptables(r)
	c.ipsec(r)
	c.groups(r)
	if c.f.Interface == nil {
		return
	}
	c.reversePath(r)
	c.vrf(r)
	c.tc(r, device)
}

func (c *checker) connections(r *RuleFacts) {
	if r.Connections {
		c.add("WX-CT-01", OK, "the kernel tracks connections: of each flow it sends the first datagram and one every few seconds, so that answers get in",
			"datapath.Options.NoConntrack and --require turn that off", "")
		return
	}
	c.add("WX-CT-01", OK, "the kernel tracks no connections", "", "")
}

// chains are those of a hook, of ingress and egress those for the device and for the interface of the path, which may stand on it.
func (c *checker) chains(r *RuleFacts, hook netfilter.Hook, device string) []netfilter.Chain {
	out := r.netfilter.At(hook, device)
	if c.f.Path == nil || c.f.Path.Interface == device {
		return out
	}
	for _, x := range r.netfilter.At(hook, c.f.Path.Interface) {
		if !slices.ContainsFunc(out, func(had netfilter.Chain) bool { return had.String() == x.String() }) {
			out = append(out, x)
		}
	}
	return out
}

// input is about rules that may keep datagrams from coming in.
func (c *checker) input(r *RuleFacts, device string) {
	var stateful, blind []string
	for _, hook := range []netfilter.Hook{netfilter.Ingress, netfilter.Prerouting, netfilter.Input} {
		for _, chain := range c.chains(r, hook, device) {
			switch {
			case !chain.Drops:
			case chain.Conntrack:
				stateful = append(stateful, chain.String())
			default:
				blind = append(blind, chain.String())
			}
		}
	}
	const past = "what an XDP program takes for a socket (XDP receive) does not meet them"
	switch {
	case len(blind) > 0:
		c.add("WX-NFT-IN-01", Warn, "rules drop what comes in, whatever was sent before: "+strings.Join(blind, ", "), past,
			"if answers or requests stay away: nft list chain "+blind[0]+", and accept their port: udp dport PORT accept")
	case len(stateful) > 0:
		c.add("WX-NFT-IN-01", Note, "rules drop what comes in and belongs to no connection (ct state): "+strings.Join(stateful, ", "),
			"answers get in; "+past, "for a server that receives through the kernel's stack: nft insert rule "+stateful[0]+" udp dport PORT accept")
	default:
		c.add("WX-NFT-IN-01", OK, "no rule of nftables drops what comes in", "", "")
	}
}

// output is about rules that AF_XDP bypasses.
func (c *checker) output(r *RuleFacts, device string) {
	var passed []string
	for _, hook := range []netfilter.Hook{netfilter.Output, netfilter.Postrouting, netfilter.Egress} {
		for _, chain := range c.chains(r, hook, device) {
			if !chain.NAT && (chain.Rules > 0 || chain.Policy) {
				passed = append(passed, chain.String())
			}
		}
	}
	if len(passed) == 0 {
		c.add("WX-NFT-OUT-01", OK, "no rule of nftables looks at what leaves", "", "")
		return
	}
	detail := "the kernel asks none of them about it"
	if r.Connections {
		detail = "the kernel asks them about the first datagram of a flow and one every few seconds; what they drop then is refused"
	}
	title, level := "what leaves by AF_XDP does not meet the rules of "+strings.Join(passed, ", "), Warn
	if j := r.Judged; j != nil {
		switch to := c.f.Path.Destination; {
		case j.Drops == netfilter.Yes:
			title = "the rules of " + j.DroppedBy + " drop what goes to " + to + ", and what leaves by AF_XDP does not meet them"
		case j.Drops == netfilter.Maybe:
			title += ", which may drop what goes to " + to + dependsOn(j)
		case j.Changes == netfilter.Maybe:
			title += ", and those of " + j.ChangedBy + " may change, mark or hand over what goes to " + to + dependsOn(j)
		case j.Changes == netfilter.Yes:
			title += ", and those of " + j.ChangedBy + " change, mark or hand over what goes to " + to
		case len(c.chains(r, netfilter.Egress, device)) == 0: // these are not followed
			c.add("WX-NFT-OUT-01", OK, "no rule of nftables drops or changes what goes to "+to, "it does not meet the rules of "+strings.Join(passed, ", "), "")
			return
		}
	}
	c.add("WX-NFT-OUT-01", level, title, detail,
		"where every datagram is to meet them: the kernel's stack (datapath.Options.KernelStack)")
}

func (c *checker) translation(r *RuleFacts) {
	var chains []string
	for _, chain := range r.Chains {
		if chain.NAT {
			chains = append(chains, chain.String())
		}
	}
	if len(chains) == 0 {
		return
	}
	by := strings.Join(chains, ", ")
	if j := r.Judged; j != nil {
		switch to := c.f.Path.Destination; j.Translates {
		case netfilter.Yes:
			c.add("WX-NFT-NAT-01", Note, "addresses of what goes to "+to+" are translated by "+j.TranslatedBy, "the flow is left to the kernel's stack", "")
			return
		case netfilter.No:
			level, legacy := OK, r.legacy()
			if legacy != "" {
				level, by = Note, by+"; and "+legacy+" may"
			}
			c.add("WX-NFT-NAT-01", level, "addresses of what goes to "+to+" are not translated by nftables", "others are, by "+by, "")
			return
		default:
			by = j.TranslatedBy + ", maybe those of what goes to " + to + dependsOn(j)
		}
	}
	if c.f.Privilege.NetAdmin {
		c.add("WX-NFT-NAT-01", Note, "addresses are translated by "+by, "a flow that is translated is left to the kernel's stack", "")
		return
	}
	c.add("WX-NFT-NAT-01", Warn, "addresses are translated by "+by,
		"without CAP_NET_ADMIN it does not show which flows are, and AF_XDP sends them as they are", "sudo")
}

func (c *checker) iptables(r *RuleFacts) {
	switch {
	case !r.Iptables.Yes():
		c.add("WX-IPT-01", Note, "not known whether there are rules of the old iptables", r.Iptables.Reason+"; where there are, it is not known what they do", "sudo wsk-xdp doctor, or sudo iptables-legacy-save")
	case len(r.IptablesTables) > 0:
		c.add("WX-IPT-01", Note, "the old iptables has tables ("+strings.Join(r.IptablesTables, ", ")+"), whose rules are not read",
			"so it is not known whether they drop or translate something; for them holds what holds for nftables: what leaves by AF_XDP does not meet them", "see sudo iptables-legacy-save and ip6tables-legacy-save")
	default:
		c.add("WX-IPT-01", OK, "there are no tables of the old iptables", "", "")
	}
}

func (c *checker) ipsec(r *RuleFacts) {
	switch {
	case c.f.Privilege.Policies != "": // told with what this process holds
	case !r.IPsecPolicies:
		c.add("WX-IPSEC-01", OK, "no IPsec policy changes anything", "", "")
	case c.f.Path == nil || c.f.Path.Error != "":
		c.add("WX-IPSEC-01", Note, "there are IPsec policies: what one selects goes through the kernel's stack", "",
			"name a destination to see: wsk-xdp doctor DST; see ip xfrm policy")
	case c.f.Path.IPsec:
		c.add("WX-IPSEC-01", Warn, "an IPsec policy selects what goes to "+c.f.Path.Destination+": the kernel's stack carries it", "", "see ip xfrm policy")
	default:
		c.add("WX-IPSEC-01", OK, "no IPsec policy selects what goes to "+c.f.Path.Destination, "asked without ports: a policy for single ports may", "")
	}
}

func (c *checker) reversePath(r *RuleFacts) {
	if r.ReversePath == "off" {
		c.add("WX-RPF-01", OK, "sources are not checked (rp_filter is off)", "", "")
		return
	}
	c.add("WX-RPF-01", OK, "IPv4 sources are checked (rp_filter is "+r.ReversePath+"): XDP receive asks the kernel about each",
		"about 10 µs for a source that is new, once in 5 s", "")
}

func (c *checker) vrf(r *RuleFacts) {
	switch {
	case r.VRF == "":
		c.add("WX-VRF-01", OK, c.f.Interface.Name+" belongs to no VRF", "", "")
	case r.FromVRFs:
		c.add("WX-VRF-01", Note, c.f.Interface.Name+" belongs to the VRF "+r.VRF+", and sockets outside get what arrives there (udp_l3mdev_accept)", "", "")
	default:
		c.add("WX-VRF-01", Note, c.f.Interface.Name+" belongs to the VRF "+r.VRF+": no socket outside gets what arrives there, so XDP receive takes nothing",
			"sockets in the VRF receive through the kernel's stack", "sysctl net.ipv4.udp_l3mdev_accept=1, or ip vrf exec "+r.VRF)
	}
}

// plainQdiscs neither shape nor drop what a queue has room for.
var plainQdiscs = []string{"", "noqueue", "mq", "pfifo_fast", "pfifo", "fq_codel", "fq", "sfq"}

// tc is about what AF_XDP bypasses below netfilter.
func (c *checker) tc(r *RuleFacts, device string) {
	var passed []string
	if !slices.Contains(plainQdiscs, r.Qdisc) {
		passed = append(passed, "the queueing discipline "+r.Qdisc)
	}
	if r.EgressFilters > 0 {
		passed = append(passed, units.Plural(r.EgressFilters, "filter")+" of tc at egress")
	}
	if len(r.LinkPrograms) > 0 {
		passed = append(passed, "the programs at its egress ("+strings.Join(r.LinkPrograms, ", ")+")")
	}
	switch unknown := r.Traffic.Answer != "" && !r.Traffic.Yes(); {
	case len(passed) == 0 && unknown:
		remedy := "sudo wsk-xdp doctor"
		if c.f.Privilege.NetAdmin && c.f.Privilege.BPF {
			remedy = "" // it is not for want of privilege
		}
		c.add("WX-TC-01", Note, "not known whether filters of tc or programs look at what leaves", r.Traffic.Reason, remedy)
		return
	case len(passed) == 0:
		c.add("WX-TC-01", OK, "tc does nothing to what leaves", "", "")
		return
	}
	c.add("WX-TC-01", Warn, "what leaves by AF_XDP does not meet "+strings.Join(passed, " and "),
		"no limit, delay or mark of theirs applies; what they do to a datagram of the kernel's stack is not followed",
		fmt.Sprintf("see tc qdisc show dev %s and tc filter show dev %s egress; to keep to them: the kernel's stack", device, device))
}

// groups is about programs that look at what the sockets of a control group send, as systemd makes them of IPAddressDeny=.
func (c *checker) groups(r *RuleFacts) {
	switch {
	case r.Groups.Answer == "": // not asked
	case !r.Groups.Yes():
		remedy := "sudo wsk-xdp doctor"
		if c.f.Privilege.NetAdmin && c.f.Privilege.BPF {
			remedy = "" // it is not for want of privilege
		}
		c.add("WX-CGROUP-01", Note, "not known whether programs of this control group look at what its sockets send", r.Groups.Reason, remedy)
	case len(r.GroupPrograms) > 0:
		c.add("WX-CGROUP-01", Warn, "what leaves by AF_XDP does not meet the programs of this control group ("+strings.Join(r.GroupPrograms, ", ")+")",
			"those of IPAddressDeny= of systemd, say, or of a container's network; what they do to a datagram of the kernel's stack is not followed", "to keep to them: the kernel's stack (datapath.Options.KernelStack)")
	default:
		c.add("WX-CGROUP-01", OK, "no program of this control group looks at what its sockets send", "", "")
	}
}
