// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netfilter"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
)

// mostInAChunk is the largest MTU that AF_XDP takes here.
func (f *Facts) mostInAChunk() int {
	if t := f.Trial; t != nil && t.MultiBuffer.Yes() {
		return 1 << 16
	}
	return session.LargestMTU
}

// dependsOn is, in words, what a judgement depends on.
func dependsOn(j *netfilter.Judgement) string {
	if len(j.DependsOn) == 0 {
		return ""
	}
	return ", which depends on " + strings.Join(j.DependsOn, ", ")
}

// path is about the way to the destination, and what carries a datagram there.
func (c *checker) path(p *PathFacts) {
	if p.Error != "" {
		c.add("WX-ROUTE-01", Fail, "no way to "+p.Destination, p.Error,
			"ip route add "+p.Destination+" via GATEWAY, or name the interface that leads there; see ip route get "+p.Destination)
		c.byRules(p)
		c.carried(p)
		return
	}
	if p.SlowReason != "" {
		c.add("WX-ROUTE-01", Warn, fmt.Sprintf("%s is reached by the kernel's own stack only: no AF_XDP", p.Destination), p.SlowReason, "")
		c.byRules(p)
		c.pathMTU(p)
		c.carried(p)
		return
	}
	via := p.Interface
	if p.Device != p.Interface {
		via += " over " + p.Device
	}
	level, unless := OK, ""
	if c.f.Privilege.Policies != "" {
		level, unless = Note, "unless an IPsec policy selects it, which can't be seen here (WX-IPSEC-01)"
	}
	hops := ""
	if p.NextHops > 1 {
		hops = fmt.Sprintf(", one of %d for this flow", p.NextHops)
	}
	c.add("WX-ROUTE-01", level, fmt.Sprintf("%s leaves through %s, next hop %s%s, MTU %d", p.Destination, via, p.NextHop, hops, p.MTU), unless, "")
	c.byRules(p)
	c.carried(p)
	c.source(p)
	c.neighbour(p)
	c.pathMTU(p)
	c.answers(p)
}

func (c *checker) source(p *PathFacts) {
	if p.Source == "" {
		c.add("WX-SOURCE-01", Fail, "the route gives no source address", "", "add an address to "+p.Interface+": ip addr add")
		return
	}
	c.add("WX-SOURCE-01", OK, "source address "+p.Source, "", "")
}

// byRules is about policy routing.
func (c *checker) byRules(p *PathFacts) {
	asked := "asked for user " + fmt.Sprint(c.f.Privilege.UID) + ", no mark, TOS 0"
	switch rules := strings.Join(p.ByRules, ", "); {
	case rules == "":
	case slices.Contains(p.ByRules, byPort) && p.Port == 0:
		c.add("WX-RULE-01", Note, "rules choose the route by "+rules+": the way to another port may be another", asked+", and no port",
			"name the port: wsk-xdp doctor "+withPort(p.Destination))
	case slices.Contains(p.ByRules, bySourcePort):
		c.add("WX-RULE-01", Note, "rules choose the route by "+rules+": the way of a socket with another port may be another", asked+", and no source port", "")
	default:
		c.add("WX-RULE-01", OK, "rules choose the route by "+rules, asked, "")
	}
}

func withPort(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]:PORT"
	}
	return host + ":PORT"
}

// pathMTU is about what fits in one packet.
func (c *checker) pathMTU(p *PathFacts) {
	headers := 28
	if strings.Contains(p.Destination, ":") {
		headers = 48
	}
	if p.MTU <= headers {
		return
	}
	fits := fmt.Sprintf("payloads of up to %d bytes leave in one packet", p.MTU-headers)
	if p.MTU >= p.InterfaceMTU {
		c.add("WX-PMTU-01", OK, fits, "", "")
		return
	}
	c.add("WX-PMTU-01", Note, fmt.Sprintf("the way to %s takes %d bytes, %s %d: %s", p.Destination, p.MTU, p.Interface, p.InterfaceMTU, fits),
		"larger ones leave as fragments, or with --df not at all; the route says so, or a router on the way has",
		"if that is no longer so: ip route flush cache, ip route show "+p.Destination)
}

func (c *checker) neighbour(p *PathFacts) {
	const silence = "the first datagram waits for the answer; without one it ends in STATUS_HOST_UNREACHABLE after about 3 s"
	switch {
	case !p.AskNeeded:
		c.add("WX-NEIGH-01", OK, "no neighbour has to be asked for", "", "")
	case p.Silent:
		c.add("WX-NEIGH-01", Warn, "neighbour "+p.NextHop+" was asked for, and did not answer", silence, "is it up, on "+p.Interface+", and in this VLAN? ping -c 1 "+p.NextHop)
	case p.MAC == "":
		detail := silence
		if c.f.Rules != nil && !strings.Contains(p.NextHop, ":") {
			if rules := strings.Join(c.f.Rules.netfilter.Others(netfilter.ARP), ", "); rules != "" {
				detail = "rules of " + rules + ", which are not followed, may drop question or answer; " + detail
			}
		}
		c.add("WX-NEIGH-01", Note, "neighbour "+p.NextHop+" is not known yet", detail, "to ask it now: ping -c 1 "+p.NextHop)
	default:
		c.add("WX-NEIGH-01", OK, "neighbour "+p.NextHop+" is "+p.MAC, "", "")
	}
}

// carried is about what carries a datagram there.
func (c *checker) carried(p *PathFacts) {
	k := c.f.carriage()
	unless := strings.Join(k.Unless, "; or ")
	if unless != "" {
		unless = "unless " + unless
	}
	level := OK
	if unless != "" {
		level = Note
	}
	see := ""
	if k.See != "" {
		see = "see " + k.See
	}
	switch {
	case k.By == ByNobody:
		c.add("WX-CARRY-02", Fail, "what goes to "+p.Destination+" is refused: "+k.Status, join(k.Why, unless), see)
	case k.By == ByKernel:
		if level = Warn; p.Kind != unicast {
			level = Note // the nature of the destination
		}
		c.add("WX-CARRY-02", level, "the kernel's stack carries what goes to "+p.Destination, join(k.Why, unless), see)
	case k.Opens:
		c.add("WX-CARRY-02", level, "AF_XDP on "+p.Device+" carries what goes to "+p.Destination+", and the kernel's stack the first datagram of each flow", unless, "")
	default:
		c.add("WX-CARRY-02", level, "AF_XDP on "+p.Device+" carries what goes to "+p.Destination, unless, "")
	}
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}

// answers is about what the host does with what comes back.
func (c *checker) answers(p *PathFacts) {
	if p.Kind != unicast {
		return
	}
	const id = "WX-ANSWER-01"
	r := c.f.Rules
	switch {
	case p.AnswersRefused:
		c.add(id, Warn, "answers of "+p.Destination+" are refused: this host has no route to there by "+p.Interface+", and checks sources (rp_filter)", "",
			"sysctl net.ipv4.conf."+p.Interface+".rp_filter=2, or a route to there by "+p.Interface)
	case r == nil || r.Answers == nil:
	case r.Answers.Drops == netfilter.Yes:
		c.add(id, Warn, "answers of "+p.Destination+" are dropped by the rules of "+r.Answers.DroppedBy, "what an XDP program takes for a socket (XDP receive) does not meet them",
			"nft insert rule "+r.Answers.DroppedBy+" udp sport PORT accept")
	case r.Answers.Drops == netfilter.Maybe:
		c.add(id, Note, "answers of "+p.Destination+" may be dropped by the rules of "+r.Answers.DroppedBy+dependsOn(r.Answers), "", "")
	default:
		if met := c.f.onTheWayIn(); len(met) > 0 {
			c.add(id, Note, "answers of "+p.Destination+" get in, as far as it is known", "unless "+strings.Join(met, " or ")+" drop them", "")
			return
		}
		c.add(id, OK, "answers of "+p.Destination+" get in", "", "")
	}
}
