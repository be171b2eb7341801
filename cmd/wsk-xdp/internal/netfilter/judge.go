// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"
)

// Judge works out what the chains at some hooks, in the order that a datagram meets them, do to it. Nothing is sent. It must be called on a
// thread in the namespace, for the elements of sets are read only where a rule looks into one.
func (r *Rules) Judge(d Datagram, hooks ...Hook) Judgement {
	j := judge{rules: r.raw, sets: r.sets, d: d, natted: d.Translated, budget: r.raw.budget()}
	for _, hook := range hooks {
		j.mapped = No
		for _, name := range r.raw.meets(hook, &d) {
			j.base(name, hook)
			if j.out.Drops == Yes {
				return j.out
			}
		}
	}
	if j.out.Drops != Maybe && j.out.Translates != Maybe && j.out.Changes != Maybe {
		j.out.DependsOn = nil
	}
	return j.out
}

// budget is how many rules are looked at for one datagram, so that it comes to an end, however rules lead to each other: each several
// times.
func (r ruleset) budget() int {
	const least, times = 1 << 16, 16
	n := 0
	for _, c := range r {
		n += len(c.raw)
	}
	return least + times*n
}

// meets are the base chains of a hook that a datagram meets, by priority.
func (r ruleset) meets(hook Hook, d *Datagram) (out []chainName) {
	version := uint8(unix.NFPROTO_IPV6)
	if d.Destination.Is4() {
		version = unix.NFPROTO_IPV4
	}
	device := d.Out
	if hook == Ingress {
		device = d.In
	}
	for name, c := range r {
		if !c.base || hooks[hookKey{name.family == unix.NFPROTO_NETDEV, c.hook}] != hook {
			continue
		}
		if name.family != version && name.family != unix.NFPROTO_INET && name.family != unix.NFPROTO_NETDEV {
			continue
		}
		if len(c.devices) == 0 || serves(c.devices, device) {
			out = append(out, name)
		}
	}
	slices.SortFunc(out, func(a, b chainName) int {
		return cmp.Or(cmp.Compare(r[a].runsAt(hook), r[b].runsAt(hook)), cmp.Compare(r[a].priority, r[b].priority), cmp.Compare(a.table, b.table), cmp.Compare(a.name, b.name))
	})
	return out
}

func (j *judge) base(name chainName, hook Hook) {
	c := j.rules[name]
	j.at = place{
		hook: hook, chain: (&Chain{Family: families[name.family], Table: name.table, Name: name.name}).String(), typ: c.typ,
		priority: c.runsAt(hook), netdev: name.family == unix.NFPROTO_NETDEV,
	}
	here := Yes
	if c.typ == natChain {
		here = j.asksNAT()
	}
	if here == No {
		return
	}
	left, _ := j.walk(name, here, 0)
	if c.drop {
		j.drop(left)
	}
}

const natChain = "nat"

// runsAt is the priority by which a chain has its turn. Those of type nat have one of their own among themselves, and all have it where NAT
// has (NF_IP_PRI_NAT_DST and NF_IP_PRI_NAT_SRC).
func (c *rawChain) runsAt(hook Hook) int32 {
	const destination, source = -100, 100
	switch {
	case c.typ != natChain:
		return c.priority
	case hook == Prerouting, hook == Output:
		return destination
	}
	return source
}

// mostJumps is how deep chains may lead into each other, as in the kernel.
const mostJumps = 16

// walk follows the datagram through a chain that it is so sure to come to. left is how sure it is to come out at its end, which no rule
// there has decided; ends is whether one there decides, or may.
func (j *judge) walk(name chainName, here Certainty, depth int) (left Certainty, ends bool) {
	c := j.rules[name]
	if c == nil || depth > mostJumps {
		return j.lost(here, "chain "+name.name) // made meanwhile
	}
	returned := No
	for _, rule := range c.raw {
		if j.budget--; j.budget < 0 {
			return j.lost(here, "more rules than are followed")
		}
		for _, v := range j.rule(name, rule, here) {
			at := min(here, v.sure)
			switch v.code {
			case codeDrop:
				j.drop(at)
			case codeAccept:
			case codeReturn:
				returned = max(returned, at)
			case codeGoto:
				out, end := j.walk(chainName{name.family, name.table, v.chain}, at, depth+1)
				returned, ends = max(returned, out), ends || end
			case codeJump:
				out, end := j.walk(chainName{name.family, name.table, v.chain}, at, depth+1)
				ends = ends || end
				if v.sure == Yes {
					here = out
				} else if end {
					here = min(here, Maybe)
				}
				continue
			case codeAny:
				j.anything(at)
				returned = max(returned, min(at, Maybe))
			default: // a queue of a program, which may do anything
				j.unsure("what a program does with it (queue)")
				j.drop(min(at, Maybe))
				j.rewrite(at)
			}
			ends = ends || v.code != codeGoto && v.code != codeReturn
			here = min(here, v.sure.not())
		}
		if here == No {
			break
		}
	}
	return max(returned, here), ends
}

// lost gives up where it is not known what comes.
func (j *judge) lost(here Certainty, why string) (left Certainty, ends bool) {
	j.unsure(why)
	j.anything(here)
	return min(here, Maybe), true
}
