// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Plan is what a snapshot answers to queries that differ in their destinations and ports alone: the rules are gone through once, and
// each query looks into the tables that are left, unless the blocks know its answer. Nothing else of it ever changes.
type Plan struct {
	at    *Snapshot
	query Query // but for destination and port
	// each: a rule looks at destinations or their ports, so that every query goes through the rules by itself.
	each   bool
	tables []*rule // to be looked into, one after the other
	// last says why there is no answer where none of the tables has one.
	last   Reason
	blocks blocks
}

// maxPlans bounds the plans that a snapshot has for all who ask; one with other queries is its asker's alone.
const maxPlans = 8

// Prepare is the plan for queries like q to destinations of a family. Who asks for the same gets the same.
func (s *Snapshot) Prepare(q Query, six bool) *Plan {
	f := &s.v4
	q.Dst, q.DstPort = netip.IPv4Unspecified(), 0
	if six {
		f, q.Dst = &s.v6, netip.IPv6Unspecified()
	}
	if !slices.ContainsFunc(f.rules, func(r rule) bool { return !r.sports.any() }) {
		q.SrcPort = 0 // so that the sockets of a host share plans
	}
	var fresh *Plan
	for i := range s.plans {
		p := s.plans[i].Load()
		if p == nil {
			if fresh == nil {
				fresh = s.prepare(f, q)
			}
			if s.plans[i].CompareAndSwap(nil, fresh) {
				return fresh
			}
			p = s.plans[i].Load()
		}
		if p.query == q {
			return p
		}
	}
	return s.prepare(f, q)
}

// prepare makes a plan.
func (s *Snapshot) prepare(f *family, q Query) *Plan {
	p := &Plan{at: s, query: q}
	if q.Dst.Is4() {
		p.blocks.skip = 12
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

// Lookup is Snapshot.Lookup of an address, which is v4-mapped where it is one of IPv4: in the form that a datagram has it in, since a
// netip.Addr of it costs more to make and to take apart than is left to be done. It allocates little, and only for the first of
// some hundred destinations, if at all.
func (p *Plan) Lookup(to *[16]byte, port uint16) (Result, Reason) {
	b := p.blocks.find(to)
	if b != nil && b.answer.Hop != nil {
		return b.answer, Answered
	}
	dst := netip.AddrFrom16(*to).Unmap()
	r, ask := p.lookup(dst, port)
	if b == nil && ask == Answered {
		p.remember(dst, r)
	}
	return r, ask
}

// lookup goes through the tables.
func (p *Plan) lookup(dst netip.Addr, port uint16) (Result, Reason) {
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
