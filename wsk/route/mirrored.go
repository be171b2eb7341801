// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/mirror"
)

// mirrored answers a question out of the mirror of the kernel's routing, without a system call. ok is false when the
// kernel must be asked: the mirror doesn't know, or what is asked is likely to be refused, and the kernel says how.
// What the answer rests on goes into on.
//
// The mirror follows events of its own, a little before or behind the generation. So its answers are for those alone
// who go by Stands: on is nil for the others.
func (t *Table) mirrored(s *snapshot, q question, in Query, on *Standing) (hop Hop, ok bool) {
	if on == nil || t.mirror == nil || t.closed() || !s.plausible(q) {
		return Hop{}, false
	}
	m := mirror.Query{
		Dst: q.dst, Src: q.src, Interface: q.oif, TOS: q.tos, Mark: q.mark, SrcPort: in.SrcPort, DstPort: in.DstPort,
	}
	r, ask := t.consult(&m, q.strict)
	if ask != mirror.Answered {
		t.asked[ask].Add(1)
		return Hop{}, false
	}
	on.query, on.strict, on.hop, on.source, on.ground = m, q.strict, r.Hop, r.Source, t.ground(s, &m, r.Hop)
	return q.hop(answer{
		typ: unix.RTN_UNICAST, index: r.Hop.Interface, gateway: r.Hop.Gateway, source: r.Source, mtu: r.Hop.MTU,
	}), true
}

// consult looks up once, or twice as askRoute asks.
func (t *Table) consult(m *mirror.Query, strict bool) (mirror.Result, mirror.Reason) {
	return lookup(t.mirror.Snapshot(), m, strict)
}

func lookup(s *mirror.Snapshot, m *mirror.Query, strict bool) (mirror.Result, mirror.Reason) {
	r, ask := s.Lookup(m)
	if ask == mirror.Answered && strict && r.Hop.Interface != m.Interface {
		anySource := *m
		anySource.Src = netip.Addr{}
		r, ask = s.Lookup(&anySource)
	}
	return r, ask
}

// plausible reports whether interface and source are what checkInterface and checkSource let pass without asking.
func (s *snapshot) plausible(q question) bool {
	if q.oif != 0 && s.devices[q.oif] == nil {
		return false
	}
	return !q.src.IsValid() || s.isLocal(q.src) && s.suits(q)
}

// Asked tells how many queries of ResolveStanding were put to the kernel, or to the cache of its answers, by the reason
// for which the mirror of its routing had no answer.
func (t *Table) Asked() map[string]uint64 {
	counts := map[string]uint64{}
	for i := range t.asked {
		if n := t.asked[i].Load(); n != 0 {
			counts[mirror.Reason(i).String()] = n
		}
	}
	return counts
}
