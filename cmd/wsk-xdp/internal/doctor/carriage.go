// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netfilter"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// carriage puts together what was found out.
func (f *Facts) carriage() Carriage {
	p := f.Path
	if p.Error != "" {
		return Carriage{By: ByNobody, Status: p.Status, Why: p.Error, See: "WX-ROUTE-01"}
	}
	c := Carriage{By: ByAFXDP}
	if c.Why, c.See = f.stack(); c.Why != "" {
		c.By = ByKernel
	}
	var r RuleFacts
	if f.Rules != nil {
		r = *f.Rules
	}
	c.Opens = c.By == ByAFXDP && r.Connections && p.Kind == unicast
	f.judged(&c, &r)
	if c.By == ByAFXDP && p.LinkDown {
		return Carriage{By: ByNobody, Status: wsk.STATUS_NETWORK_UNREACHABLE.String(), Why: p.Device + " has no carrier", See: "WX-LINK-01"}
	}
	if c.By != ByNobody && p.Silent {
		return Carriage{By: ByNobody, Status: wsk.STATUS_HOST_UNREACHABLE.String(), Why: "the neighbour " + p.NextHop + " does not answer",
			See: "WX-NEIGH-01", Unless: []string{"it answers by now"}}
	}
	if c.By == ByKernel && p.IPsec {
		c.Unless = append(c.Unless, "the IPsec policy blocks it, or has no key for it")
	}
	return c
}

// waiting is the same for documents: with the neighbour that nobody has asked yet, who has a line of their own among the findings.
func (c Carriage) waiting(p *PathFacts) Carriage {
	if c.By != ByNobody && p.AskNeeded && p.MAC == "" {
		c.Unless = append(c.Unless, "the neighbour "+p.NextHop+" does not answer ("+wsk.STATUS_HOST_UNREACHABLE.String()+")")
	}
	return c
}

// stack is why the kernel's stack carries everything that goes there, empty where AF_XDP does, and the finding that says more.
func (f *Facts) stack() (why, see string) {
	p := f.Path
	switch {
	case p.SlowReason != "":
		return p.SlowReason, "WX-ROUTE-01"
	case p.Kind == "broadcast":
		return "sockets of this host are to get a broadcast, too", ""
	case p.Member:
		return "sockets of this host have joined the group", ""
	case f.AFXDP.No():
		return "this kernel has no AF_XDP sockets", "WX-AFXDP-01"
	case !f.Privilege.NetRaw:
		return "CAP_NET_RAW is not held", "WX-CAP-TX-01"
	case f.Privilege.Policies != "":
		return "the IPsec policies can't be read", "WX-IPSEC-01"
	case !f.Privilege.Unlimited && f.Privilege.Memlock < f.Privilege.MemlockNeed:
		return "the limit of locked memory is too small for a queue", "WX-MEMLOCK-01"
	case p.Taken:
		return "other AF_XDP sockets hold all queues of " + p.Device, "WX-QUEUE-02"
	case p.DeviceMTU > f.mostInAChunk():
		return "packets of the MTU of " + p.Device + " fit no chunk", "WX-MTU-01"
	}
	return "", ""
}

// judged is what the rules of the host make of it: those for output of what the kernel's stack sends, be it the first datagram alone.
func (f *Facts) judged(c *Carriage, r *RuleFacts) {
	for _, what := range r.ofFrames(f.Path) {
		c.Unless = append(c.Unless, what+" drop it")
	}
	if c.By == ByAFXDP && !c.Opens {
		return // which meets no other
	}
	translated := c.By == ByAFXDP
	if f.followed(c, r); c.By == ByNobody {
		return
	}
	for _, what := range r.onTheWayOut(f.Path) {
		does := what + " drop it"
		if translated && strings.HasPrefix(what, legacyRules) {
			does += " or translate it"
		}
		c.Unless = append(c.Unless, does)
	}
}

// followed is what the rules of nftables make of it, which are worked out.
func (f *Facts) followed(c *Carriage, r *RuleFacts) {
	if r.Judged == nil {
		if r.Nftables.Answer != "" && !r.Nftables.Yes() {
			c.Unless = append(c.Unless, "rules of nftables, which can't be read, drop it or translate it")
		}
		return
	}
	on := dependsOn(r.Judged)
	switch r.Judged.Drops {
	case netfilter.Yes:
		c.By, c.Opens, c.Status = ByNobody, false, wsk.STATUS_ACCESS_DENIED.String()
		c.Why, c.See, c.Unless = "the rules of "+r.Judged.DroppedBy+" drop it", "WX-NFT-OUT-01", nil
		return
	case netfilter.Maybe:
		c.Unless = append(c.Unless, "the rules of "+r.Judged.DroppedBy+" drop it ("+wsk.STATUS_ACCESS_DENIED.String()+")"+on)
	}
	if c.By != ByAFXDP {
		return
	}
	switch r.Judged.Translates {
	case netfilter.Yes:
		c.By, c.Opens, c.Why, c.See = ByKernel, false, "its addresses are translated by "+r.Judged.TranslatedBy, "WX-NFT-NAT-01"
	case netfilter.Maybe:
		c.Unless = append(c.Unless, "the rules of "+r.Judged.TranslatedBy+" translate its addresses: then the kernel's stack carries all of the flow"+on)
	}
}
