// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netfilter"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// What looks at datagrams and is told, but nobody works out what it does: that a datagram passes is said with these only.

const legacyRules = "rules of the old iptables"

// legacy are rules of the old iptables, empty where there are none.
func (r *RuleFacts) legacy() string {
	switch {
	case len(r.IptablesTables) > 0:
		return legacyRules + " (" + strings.Join(r.IptablesTables, ", ") + "), which are not read,"
	case r.Iptables.Answer != "" && !r.Iptables.Yes():
		return legacyRules + ", of which it is not known whether there are any,"
	}
	return ""
}

// onTheWayOut is what the kernel's stack asks about what it sends.
func (r *RuleFacts) onTheWayOut(p *PathFacts) (out []string) {
	if l := r.legacy(); l != "" {
		out = append(out, l)
	}
	chains := r.netfilter.At(netfilter.Egress, p.Interface)
	if !p.passesOthers { // else they are among those that frames meet
		chains = append(chains, r.below(netfilter.Egress, p)...)
	}
	if chains := names(chains); chains != "" {
		out = append(out, "rules at egress ("+chains+"), which are not followed,")
	}
	if r.EgressFilters > 0 {
		out = append(out, units.Plural(r.EgressFilters, "filter")+" of tc at egress, not followed,")
	}
	if len(r.LinkPrograms) > 0 {
		out = append(out, "programs at egress ("+strings.Join(r.LinkPrograms, ", ")+"), which are not followed,")
	}
	if len(r.GroupPrograms) > 0 {
		out = append(out, "programs of this control group ("+strings.Join(r.GroupPrograms, ", ")+"), which are not followed,")
	}
	return out
}

// onTheWayIn is what an answer meets on its way to a socket of the kernel's.
func (f *Facts) onTheWayIn() (out []string) {
	r := f.Rules
	if r == nil {
		return nil
	}
	if l := r.legacy(); l != "" {
		out = append(out, l)
	}
	if chains := names(r.below(netfilter.Ingress, f.Path)); chains != "" {
		out = append(out, "rules at ingress of devices below ("+chains+"), which are not followed,")
	}
	if chains := strings.Join(r.netfilter.Others(netfilter.Bridge), ", "); f.Path.overBridge && chains != "" {
		out = append(out, "rules of the bridge ("+chains+"), which are not followed,")
	}
	if f.Interface != nil && f.Interface.Program != nil {
		out = append(out, "the XDP program of "+f.Interface.Name+", which is not followed,")
	}
	if r.IngressFilters > 0 {
		out = append(out, units.Plural(r.IngressFilters, "filter")+" of tc at ingress, not followed,")
	}
	if len(r.IngressPrograms) > 0 {
		out = append(out, "programs at ingress ("+strings.Join(r.IngressPrograms, ", ")+"), which are not followed,")
	}
	if len(r.GroupPrograms) > 0 || len(r.groupIngress) > 0 {
		out = append(out, "programs of this control group, which are not followed,")
	}
	return out
}

// ofFrames is what frames of AF_XDP meet, too, where the device that they enter by has others below it.
func (r *RuleFacts) ofFrames(p *PathFacts) (out []string) {
	if chains := strings.Join(r.netfilter.Others(netfilter.Bridge), ", "); p.overBridge && chains != "" {
		out = append(out, "rules of the bridge ("+chains+"), which are not followed,")
	}
	if chains := names(r.netfilter.Beside(netfilter.Egress, p.Device)); p.passesOthers && chains != "" {
		out = append(out, "rules at egress of devices below ("+chains+"), which are not followed,")
	}
	return out
}

// below are chains for devices that may be below the interface.
func (r *RuleFacts) below(hook netfilter.Hook, p *PathFacts) []netfilter.Chain {
	if !p.stacked {
		return nil
	}
	return r.netfilter.Beside(hook, p.Interface)
}

func names(chains []netfilter.Chain) string {
	var out []string
	for _, c := range chains {
		out = append(out, c.String())
	}
	return strings.Join(out, ", ")
}
