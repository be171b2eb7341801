// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Plan is what a snapshot answers to queries that differ in their destinations and ports alone: the rules are gone through once, and
// each query looks into the tables that are left. It never changes.
type Plan struct {
	at    *Snapshot
	query Query // but for destination and port
	// each: a rule looks at destinations or their ports, so that every query goes through the rules by itself.
	each   bool
	tables []*rule // to be looked into, one after the other
	// last says why there is no answer where none of the tables has one.
	last Reason
}

// Prepare makes the plan for queries like q to destinations of a family.
func (s *Snapshot) Prepare(q Query, six bool) *Plan {
	p := &Plan{at: s, query: q}
	f := &s.v4
	p.query.Dst, p.query.DstPort = netip.IPv4Unspecified(), 0
	if six {
		f, p.query.Dst = &s.v6, netip.IPv6Unspecified()
	}
	if p.last = s.early(f, &p.query); p.last != Answered {
		return p
	}
	for i := 0; i < len(f.rules); i++ {
		r := &f.rules[i]
		if r.dst.IsValid() || !r.dports.any() {
			p.each = true
			return p
		}
		next, ask := r.verdict(&p.query, i)
		if ask != Answered {
			p.last = ask
			return p
		}
		if next == i {
			p.tables = append(p.tables, r)
			next++
		}
		i = next - 1
	}
	p.last = NoRoute
	return p
}

// At is the snapshot that the plan was made for.
func (p *Plan) At() *Snapshot { return p.at }

// Lookup is Snapshot.Lookup. It does not allocate.
func (p *Plan) Lookup(dst netip.Addr, port uint16) (Result, Reason) {
	if p.each {
		q := p.query
		q.Dst, q.DstPort = dst, port
		return p.at.Lookup(&q)
	}
	if p.last != NoRoute && len(p.tables) == 0 {
		return Result{}, p.last
	}
	if ask := p.at.special(dst, p.query.Src, p.query.Interface); ask != Answered {
		return Result{}, ask
	}
	for _, r := range p.tables {
		hop, ask := p.table(r, dst)
		if ask != Answered {
			return Result{}, ask
		}
		if hop != nil {
			return p.at.result(p.query.Src, dst, hop)
		}
	}
	return Result{}, p.last
}

// table is walk.table, with a short way for what nearly every query finds: a prefix with one route, to one place.
func (p *Plan) table(r *rule, dst netip.Addr) (*Hop, Reason) {
	if r.suppress < 0 && p.query.Interface == 0 {
		f, ok := r.trie.Lookup(dst)
		if !ok {
			return nil, Answered
		}
		if f.plain && !r.local {
			if hop := p.at.hops.at(f.routes[0].hop); !hop.gone {
				return hop, hop.ask
			}
		}
	}
	q := p.query
	q.Dst = dst
	w := p.at.walk(&q)
	return w.table(r)
}

// verdict says what a rule, number i, does with a query: next is i where its table is to be looked into, otherwise the number of the
// rule that comes next.
func (r *rule) verdict(q *Query, i int) (next int, ask Reason) {
	switch r.matches(q) {
	case no:
		return i + 1, Answered
	case unknown:
		return 0, Rule
	}
	switch {
	case r.action == unix.FR_ACT_GOTO && r.target >= 0:
		return r.target, Answered
	case r.action == unix.FR_ACT_NOP, r.action == unix.FR_ACT_GOTO:
		return i + 1, Answered
	case r.action != unix.FR_ACT_TO_TBL:
		return 0, Refused
	case r.trie == nil:
		return i + 1, Answered
	case r.groups:
		return 0, Rule
	}
	return i, Answered
}
