// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package ipsec knows which datagrams the IPsec policies of a network namespace (ip xfrm policy) select, so that what the host
// encrypts, or forbids, is not sent past it in clear, and what it takes only encrypted is not received in clear.
//
// The policies are the kernel's: they are read over netlink, and read again when the kernel says that one has changed. Readers see
// immutable snapshots. While no policy can change anything there is no snapshot at all: [Watcher.Policies] is one atomic load of
// nil, and nil selects nothing.
//
// # How a datagram is judged
//
// As net/xfrm/xfrm_policy.c does (xfrm_policy_lookup, xfrm_selector_match): addresses, ports, protocol, interface and mark are
// compared with each policy's selector, and of those that match the one with the lowest priority number decides; policies of type sub are
// looked up before those of type main, and both count. Without a match it is the default (ip xfrm policy setdefault). Where the kernel's
// order, or its idea of the interface, is not known here, the stronger answer is given: Block before Transform before None. An
// answer that is too strong costs the way through the kernel, which then decides itself; one that is too weak would leak.
//
// Policies of xfrm interfaces (if_id) concern only what is routed through these, and policies of single sockets only
// these; neither is looked at. Policies made over PF_KEY are the same policies.
//
// # How old an answer can be
//
// As old as the message of the kernel takes to be read, plus one dump: about a millisecond with few policies. A burst of changes
// is read as one.
//
// # Privilege
//
// Reading needs CAP_NET_ADMIN in the namespace. Without it the policies are unknown, which [Policies.Unreadable] tells: then every
// datagram is one that may have to be encrypted, and the kernel is to send it. Who knows that the host has no policies can say so to Watch.
package ipsec

import (
	"cmp"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Verdict is what becomes of a datagram.
type Verdict uint8

// The verdicts, the stronger ones later.
const (
	// None: it passes as it is.
	None Verdict = iota
	// Transform: it is to be encrypted, authenticated or tunnelled; one that came in must have been.
	Transform
	// Block: it may not pass.
	Block
)

func (v Verdict) String() string { return [...]string{"none", "transform", "block"}[v] }

// Direction is the way of a datagram.
type Direction uint8

// The directions, as the kernel numbers them. What a host only forwards is no concern here.
const (
	In  Direction = 0
	Out Direction = 1
)

// Flow is what a selector looks at. Addresses may be v4-mapped and have zones.
type Flow struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
	// Protocol is the IP protocol; 0 means UDP.
	Protocol uint8
	// Interface is the one that the datagram leaves or came by; 0: not known.
	Interface int
	// Mark is the datagram's mark (SO_MARK).
	Mark uint32
}

// Policies are the policies of a namespace at one moment. They never change. The nil pointer has none.
type Policies struct {
	list     [2][]policy // by direction; sub before main, then by priority
	fallback [2]Verdict  // when none matches
	err      error
}

// policy is one policy that can decide something about sockets that know nothing of IPsec.
type policy struct {
	direction Direction
	sub       bool
	priority  uint32
	selector  selector
	verdict   Verdict
	mark      uint32
	markMask  uint32
}

type selector struct {
	is4              bool
	src, dst         netip.Prefix
	sport, sportMask uint16
	dport, dportMask uint16
	protocol         uint8 // 0: any
	index            int32 // 0: any
}

// newPolicies puts policies in order. nil: they change nothing.
func newPolicies(all []policy, fallback [2]Verdict, err error) *Policies {
	p := &Policies{fallback: fallback, err: err}
	effect := err != nil || fallback != [2]Verdict{}
	for _, x := range all {
		p.list[x.direction] = append(p.list[x.direction], x)
		effect = effect || x.verdict != None
	}
	if !effect {
		return nil
	}
	for _, list := range p.list {
		slices.SortStableFunc(list, func(a, b policy) int {
			if a.sub != b.sub {
				if a.sub {
					return -1
				}
				return 1
			}
			return cmp.Compare(a.priority, b.priority)
		})
	}
	return p
}

// Unreadable is the reason why the policies are not known, or not known any more; nil when they are.
func (p *Policies) Unreadable() error {
	if p == nil {
		return nil
	}
	return p.err
}

// Selects tells what becomes of a datagram: at least Transform where the policies are not known. It does not allocate.
func (p *Policies) Selects(d Direction, f Flow) Verdict {
	if p == nil {
		return None
	}
	f.Src, f.Dst = plain(f.Src), plain(f.Dst)
	if f.Protocol == 0 {
		f.Protocol = unix.IPPROTO_UDP
	}
	list := p.list[d&1]
	mains := slices.IndexFunc(list, func(x policy) bool { return !x.sub })
	if mains < 0 {
		mains = len(list)
	}
	sub, found := decide(list[:mains], &f)
	main, also := decide(list[mains:], &f)
	if !found && !also {
		main = max(main, p.fallback[d&1])
	}
	if p.err != nil {
		main = max(main, Transform)
	}
	return max(sub, main)
}

// decide finds the first policy of an ordered list that matches; of several with its priority the strongest. One that may
// match, for all that is known here, counts if it is stronger, and does not end the search.
func decide(list []policy, f *Flow) (v Verdict, found bool) {
	var at uint32
	for i := range list {
		x := &list[i]
		if found && x.priority != at {
			break
		}
		if !x.selector.matches(f) || f.Mark&x.markMask != x.mark {
			continue
		}
		v = max(v, x.verdict)
		if x.selector.index == 0 {
			found, at = true, x.priority
		}
	}
	return v, found
}

func plain(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }

// matches: the interface counts when it is the selector's or not known. Even when it is the selector's it is not certain that
// the kernel looks at it: for IPv6 it takes the one that the socket is bound to.
func (s *selector) matches(f *Flow) bool {
	return f.Dst.Is4() == s.is4 && f.Src.Is4() == s.is4 && s.dst.Contains(f.Dst) && s.src.Contains(f.Src) &&
		(f.DstPort^s.dport)&s.dportMask == 0 && (f.SrcPort^s.sport)&s.sportMask == 0 &&
		(s.protocol == 0 || s.protocol == f.Protocol) && (s.index == 0 || f.Interface == 0 || int(s.index) == f.Interface)
}

// Restricts reports whether a policy can keep datagrams from a receiver at a local address and port, from somebody. An unspecified
// address is every address of its family.
func (p *Policies) Restricts(local netip.AddrPort) bool {
	if p == nil {
		return false
	}
	if p.fallback[In] != None || p.err != nil {
		return true
	}
	ip := plain(local.Addr())
	return slices.ContainsFunc(p.list[In], func(x policy) bool {
		s := &x.selector
		return x.verdict != None && ip.Is4() == s.is4 && (ip.IsUnspecified() || s.dst.Contains(ip)) &&
			(local.Port()^s.dport)&s.dportMask == 0 && (s.protocol == 0 || s.protocol == unix.IPPROTO_UDP)
	})
}
