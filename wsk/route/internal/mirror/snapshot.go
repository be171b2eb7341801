// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"net/netip"
	"sync/atomic"

	"github.com/gaissmai/bart"
)

// Query is what is asked. Addresses have no zones and are no v4-mapped ones.
type Query struct {
	Dst netip.Addr
	Src netip.Addr // invalid: the kernel chooses
	// Interface is the wanted device, 0 for any.
	Interface        int
	TOS              uint8
	Mark             uint32
	SrcPort, DstPort uint16
}

// Result is the answer: a unicast route.
type Result struct {
	Hop    *Hop
	Source netip.Addr // Query.Src where that was given
}

type trie = bart.Table[*leaf]

// Snapshot is the routing at one moment. It never changes, but for what is prepared for queries.
type Snapshot struct {
	serial     uint64
	ask        Reason // why nothing at all is answered
	v4, v6     family
	hops       pages
	own        ownSet
	exceptions *bart.Lite // destinations about which the kernel has learned something; nil: none
	learned    bool       // they are too many to be here

	plans [maxPlans]atomic.Pointer[Plan]
}

// again is the same routing for another snapshot, for which nothing is prepared.
func (s *Snapshot) again() *Snapshot {
	return &Snapshot{
		ask: s.ask, v4: s.v4, v6: s.v6, hops: s.hops, own: s.own, exceptions: s.exceptions, learned: s.learned,
	}
}

// Serial is the number of the snapshot: each that is published has one of its own, from 1.
func (s *Snapshot) Serial() uint64 { return s.serial }

// family is the rules of one family, each with its table.
type family struct {
	ask   Reason
	rules []rule
}

// Lookup answers q as RTM_GETROUTE would for UDP, or says why the kernel must be asked. It does not allocate.
func (s *Snapshot) Lookup(q *Query) (Result, Reason) {
	f := &s.v6
	if q.Dst.Is4() {
		f = &s.v4
	}
	if ask := s.early(f, q); ask != Answered {
		return Result{}, ask
	}
	if ask := s.special(q.Dst, q.Src, q.Interface); ask != Answered {
		return Result{}, ask
	}
	w := s.walk(q)
	for i := 0; i < len(f.rules); {
		r := &f.rules[i]
		next, ask := r.verdict(q, i)
		if ask != Answered {
			return Result{}, ask
		}
		if next != i {
			i = next
			continue
		}
		hop, ask := w.table(r)
		if ask != Answered {
			return Result{}, ask
		}
		if hop != nil {
			return s.result(q.Src, q.Dst, hop)
		}
		i++
	}
	return Result{}, NoRoute
}

// early finds what needs no look-up, whatever the destination.
func (s *Snapshot) early(f *family, q *Query) Reason {
	switch {
	case s.ask != Answered:
		return s.ask
	case f.ask != Answered:
		return f.ask
	case s.learned:
		return Exception
	}
	if q.Dst.Is4() && q.Src.IsValid() {
		if !s.own.has(q.Src) || q.Src.IsLoopback() {
			return Source
		}
	}
	return Answered
}

// special finds destinations that need no look-up.
func (s *Snapshot) special(dst, src netip.Addr, device int) Reason {
	if dst.Is4() {
		if b := dst.As4(); b[0] == 0 || b[0]>>4 == 14 || b == [4]byte{255, 255, 255, 255} {
			return Group
		}
	} else {
		switch {
		case dst.IsMulticast(), !dst.IsValid(), dst.IsUnspecified():
			return Group
		case device == 0 && dst.IsLinkLocalUnicast():
			return Device
		}
		// RFC 6724 rule 1: a host talks to itself from the same address, even past the local table.
		if !src.IsValid() && s.own.has(dst) {
			return Local
		}
	}
	if s.exceptions != nil && s.exceptions.Lookup(dst) {
		return Exception
	}
	return Answered
}

// result finds the source.
func (s *Snapshot) result(source, dst netip.Addr, hop *Hop) (Result, Reason) {
	if !source.IsValid() {
		switch {
		case dst.Is6() && dst.IsLinkLocalUnicast():
			source = hop.linkSource
		case dst.Is4() || globalScope(dst):
			source = hop.source
		}
		if !source.IsValid() {
			return Result{}, Source
		}
	}
	return Result{Hop: hop, Source: source}, Answered
}

// needsStrict is rt6_need_strict of net/ipv6/route.c, without groups.
func needsStrict(dst netip.Addr) bool { return dst.IsLinkLocalUnicast() || dst.IsLoopback() }

// globalScope reports whether IPv6 counts a unicast address as global (net/ipv6/addrconf_core.c, __ipv6_addr_type).
// What it counts as compatible, mapped or site-local is left out.
func globalScope(ip netip.Addr) bool {
	b := ip.As16()
	if b[0] == 0 {
		return b[1] == 0x64 && b[2] == 0xff && b[3] == 0x9b // NAT64
	}
	return b[0] < 0xfe
}
