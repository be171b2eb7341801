// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"
)

// chains are the base chains, each with what its rules and those that they lead to do.
func (r ruleset) chains(all sets) (out []Chain) {
	for name, c := range r {
		hook, ok := hooks[hookKey{name.family == unix.NFPROTO_NETDEV, c.hook}]
		family := families[name.family]
		if !c.base || !ok || family == "" {
			continue
		}
		found := contents{}
		rules := r.follow(name, all, &found, map[string]bool{})
		out = append(out, Chain{
			Family: family, Table: name.table, Name: name.name, Hook: hook, Device: c.devices, Rules: rules,
			Drops: c.drop || found.drops, Policy: c.drop, Conntrack: found.conntrack, NAT: c.typ == "nat" && rules > 0 || found.nat,
		})
	}
	sortChains(out)
	return out
}

// follow adds up what a chain and those that it jumps to do, and counts their rules.
func (r ruleset) follow(name chainName, all sets, found *contents, seen map[string]bool) (rules int) {
	c := r[name]
	if c == nil || seen[name.name] {
		return 0
	}
	seen[name.name] = true
	found.add(c.contents)
	rules = c.rules
	to := func(chain string) { rules += r.follow(chainName{name.family, name.table, chain}, all, found, seen) }
	for _, chain := range c.jumps {
		to(chain)
	}
	for _, m := range c.maps {
		s := all.get(setName{name.family, name.table, m})
		found.drops = found.drops || s.err != nil // may
		s.verdicts(func(v verdict) {
			found.drops = found.drops || v.code == codeDrop
			if v.chain != "" {
				to(v.chain)
			}
		})
	}
	return rules
}

func (c *contents) add(o contents) {
	c.drops, c.conntrack, c.nat = c.drops || o.drops, c.conntrack || o.conntrack, c.nat || o.nat
}

var families = map[uint8]string{
	unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6", unix.NFPROTO_NETDEV: "netdev",
}

type hookKey struct {
	netdev bool
	number uint32
}

var hooks = map[hookKey]Hook{
	{false, unix.NF_INET_PRE_ROUTING}: Prerouting, {false, unix.NF_INET_LOCAL_IN}: Input, {false, unix.NF_INET_LOCAL_OUT}: Output,
	{false, unix.NF_INET_POST_ROUTING}: Postrouting, {false, inetIngress}: Ingress,
	{true, unix.NF_NETDEV_INGRESS}: Ingress, {true, unix.NF_NETDEV_EGRESS}: Egress,
}

// sortChains puts chains in an order that does not change from one reading to the next.
func sortChains(all []Chain) {
	slices.SortFunc(all, func(a, b Chain) int {
		return cmp.Or(cmp.Compare(a.Hook, b.Hook), cmp.Compare(a.Family, b.Family), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Name, b.Name))
	})
}
