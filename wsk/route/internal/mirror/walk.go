// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// walk is one look-up.
type walk struct {
	hops   pages
	q      *Query
	six    bool
	strict bool // IPv6: routes by other devices don't count
}

func (s *Snapshot) walk(q *Query) walk {
	six := q.Dst.Is6()
	return walk{hops: s.hops, q: q, six: six, strict: six && q.Interface != 0 && (!q.Src.IsValid() || needsStrict(q.Dst))}
}

// table looks q up in the table of a rule. Neither a hop nor a reason: the next rule is to be looked at.
func (w *walk) table(r *rule) (*Hop, Reason) {
	dst := w.q.Dst
	if r.suppress < 0 {
		f, ok := r.trie.Lookup(dst)
		if !ok {
			return nil, Answered
		}
		if hop, ask, done := w.choose(f, r); done {
			return hop, ask
		}
	}
	// Less specific prefixes, one after the other.
	for bits := dst.BitLen(); bits >= 0; {
		p, f, ok := r.trie.LookupPrefixLPM(netip.PrefixFrom(dst, bits))
		if !ok {
			return nil, Answered
		}
		if hop, ask, done := w.choose(f, r); done {
			switch {
			case ask != Answered || hop == nil:
			case hop.object && w.six:
				return nil, Rule // the kernel's ready answer may be of another prefix
			case p.Bits() <= r.suppress:
				return nil, Answered
			}
			return hop, ask
		}
		bits = p.Bits() - 1
	}
	return nil, Answered
}

// choose looks for the route of a prefix that counts. done is false when there is none. Neither a hop nor a reason: a
// throw.
func (w *walk) choose(f *leaf, r *rule) (hop *Hop, ask Reason, done bool) {
	var rt *route
	if w.six {
		rt, hop, ask = w.choose6(f)
	} else {
		rt, hop, ask = w.choose4(f)
	}
	if rt == nil || ask != Answered {
		return nil, ask, ask != Answered
	}
	switch {
	case r.local:
		// With the rules that a namespace begins with, the local table may be one with the main table, whose longer
		// prefixes go before.
		return nil, Local, true
	case rt.typ == unix.RTN_UNICAST:
		return hop, hop.ask, true
	case rt.typ == unix.RTN_THROW:
		return nil, Answered, true
	case isError(rt.typ):
		return nil, Refused, true
	}
	return nil, Local, true
}

// choose4 is the first route that counts (net/ipv4/fib_trie.c, fib_table_lookup).
func (w *walk) choose4(f *leaf) (found *route, hop *Hop, ask Reason) {
	for i := range f.routes {
		rt := &f.routes[i]
		if found != nil && !rt.ties(*found) {
			break
		}
		now, ask := w.usable4(rt)
		switch {
		case ask != Answered:
			return nil, nil, ask
		case now == nil:
		case found != nil:
			return nil, nil, Multipath // the first of them, which is not known for certain, or a gateway that answers
		default:
			found, hop = rt, now
		}
	}
	return found, hop, Answered
}

// usable4 is the hop of a route that counts for the query, nil when it doesn't.
func (w *walk) usable4(rt *route) (*Hop, Reason) {
	if rt.tos != 0 {
		if w.q.TOS&^3 == 0 {
			return nil, Answered
		}
		return nil, TOS
	}
	hop, device := w.hops.at(rt.hop), w.q.Interface
	switch {
	case hop.gone:
		return nil, Answered
	case isError(rt.typ), device == 0:
		return hop, Answered
	case hop.object && (hop.ask != Answered || hop.Interface != device):
		return nil, Multipath // a whole leaf is passed over then
	case hop.legs != nil:
		return hop.leg(device)
	case hop.Interface != device:
		return nil, Answered
	}
	return hop, Answered
}

// choose6 is net/ipv6/route.c, find_rr_leaf: one of those with the least metric; if none of them counts, one of all
// others, whatever their metrics. Which of several is not known for certain.
func (w *walk) choose6(f *leaf) (found *route, hop *Hop, ask Reason) {
	if f.sourced {
		return nil, nil, SourceRoute
	}
	var least *route
	for i := range f.routes {
		rt := &f.routes[i]
		now := w.hops.at(rt.hop)
		if now.gone {
			continue
		}
		if least == nil {
			least = rt
		}
		if found != nil && found.metric == least.metric && rt.metric != least.metric {
			break
		}
		switch {
		case w.strict && (isError(rt.typ) || now.object && now.Interface != w.q.Interface):
			return nil, nil, Refused // by the loopback device; an object that refuses counts by any device
		case w.strict && now.Interface != w.q.Interface:
		case found != nil:
			return nil, nil, Multipath
		default:
			found, hop = rt, now
		}
	}
	return found, hop, Answered
}

func isError(typ uint8) bool {
	switch typ {
	case unix.RTN_BLACKHOLE, unix.RTN_UNREACHABLE, unix.RTN_PROHIBIT, unix.RTN_THROW:
		return true
	}
	return false
}
