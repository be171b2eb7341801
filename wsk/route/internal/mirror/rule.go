// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import "net/netip"

// rule is a policy rule.
type rule struct {
	priority uint32
	action   uint8
	table    uint32
	suppress int // the longest prefix whose routes don't count; −1: all count
	inverted bool
	// foreign: the rule looks at something that is not known here. It still doesn't match where something known
	// doesn't.
	foreign bool
	// groups: routes by some groups of devices don't count.
	groups bool
	// never: it looks at what no datagram of a socket has.
	never bool

	src, dst  netip.Prefix // invalid: any
	tos       uint8
	mark      uint32
	markMask  uint32
	in, out   string // names of devices
	sports    portRange
	dports    portRange
	gotoRule  uint32
	saddrFind bool // IPv6: the rule chooses by the source that would be chosen

	// Found when a snapshot is made.
	trie     *trie
	local    bool
	target   int // index of the rule of gotoRule, −1 for none
	outIndex int // −1: there is no such device
	inLocal  bool
}

// portRange is the ports that a rule is for: from first to last, or with a mask those that have the bits of first there, whatever lies
// between first and last.
type portRange struct{ first, last, mask uint16 }

func (r portRange) any() bool { return r == portRange{} }

// has is include/net/fib_rules.h, fib_rule_port_match.
func (r portRange) has(port uint16) bool {
	if r.mask != 0 {
		return (r.first^port)&r.mask == 0
	}
	return port >= r.first && port <= r.last
}

// truth is an answer of three.
type truth uint8

const (
	no truth = iota
	yes
	unknown
)

// matches is net/core/fib_rules.c, fib_rule_match, for UDP from a socket of the host.
func (r *rule) matches(q *Query) truth {
	t := r.selects(q)
	if !r.inverted || t == unknown {
		return t
	}
	return yes - t
}

func (r *rule) selects(q *Query) truth {
	src := q.Src
	if !src.IsValid() && q.Dst.Is4() {
		src = netip.IPv4Unspecified() // net/ipv4/fib_rules.c, fib4_rule_match; IPv6 knows that there is none
	}
	switch {
	case r.never,
		r.in != "" && !r.inLocal,
		r.out != "" && r.outIndex != q.Interface,
		(r.mark^q.Mark)&r.markMask != 0,
		r.dst.IsValid() && !r.dst.Contains(q.Dst),
		r.src.IsValid() && src.IsValid() && !r.src.Contains(src),
		!r.sports.any() && !r.sports.has(q.SrcPort),
		!r.dports.any() && !r.dports.has(q.DstPort),
		r.tos != 0 && q.TOS&^3 == 0:
		return no
	case r.src.IsValid() && !src.IsValid():
		if r.saddrFind {
			return unknown
		}
		return no
	case r.foreign, r.tos != 0:
		return unknown
	}
	return yes
}
