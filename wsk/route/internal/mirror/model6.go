// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import "golang.org/x/sys/unix"

// apply6 follows IPv6, where each next hop of a multipath route is a route, and all of one metric are announced
// together.
func (m *model) apply6(old *leaf, list []route, added bool, flags uint16) []route {
	a := &m.msg
	if added && flags&unix.NLM_F_REPLACE != 0 {
		list = m.replaced6(list)
	}
	if len(a.siblings) == 0 {
		return m.apply6one(old, list, &a.key, added)
	}
	for _, l := range a.siblings {
		k := a.key
		k.device, k.gateway, k.encap, k.sibling = l.device, l.gateway, l.encap, len(a.siblings) > 1
		list = m.apply6one(old, list, &k, added)
	}
	return list
}

// replaced6 takes out what a replacing route replaces: that of the same metric and, where there are several, all with a
// gateway.
func (m *model) replaced6(list []route) []route {
	a := &m.msg
	kept := list[:0]
	taken, alone := 0, 0
	for _, o := range list {
		k := &m.hops.keys[o.hop]
		if o.metric != a.metric || k.from != a.key.from {
			kept = append(kept, o)
			continue
		}
		taken++
		if !k.sibling {
			alone++
		}
	}
	if taken > 1 && alone > 0 {
		m.wish.routes[v6] = true // only one of them was replaced
	}
	return kept
}

func (m *model) apply6one(old *leaf, list []route, k *key, added bool) []route {
	r := route{metric: m.msg.metric, typ: m.msg.typ, sourced: k.from.IsValid()}
	same, ties := -1, false
	for i, o := range list {
		if o.metric != r.metric || m.hops.keys[o.hop].from != k.from {
			continue
		}
		if o.typ == r.typ && m.hops.keys[o.hop].but(k) {
			same = i
		}
		ties = true
	}
	switch {
	case added:
		m.expires(m.msg.expires)
		r.hop = m.hops.intern(k)
		if same >= 0 {
			list[same] = r
			return list
		}
		return insert(list, r, true)
	case same < 0:
		if ties && !m.wasGone(old, k.but) {
			m.wish.routes[v6] = true
		}
		return list
	}
	return append(list[:same], list[same+1:]...)
}

// but reports whether two keys are equal but for being one of several, and for the time left.
func (k key) but(o *key) bool {
	k.sibling, k.dying = o.sibling, o.dying
	return k == *o
}

// expires notes when the next dump must be: routes expire without a word, and router advertisements prolong them
// without one.
func (m *model) expires(hundredths uint32) {
	if hundredths != 0 && (m.soonest == 0 || hundredths < m.soonest) {
		m.soonest = hundredths
	}
}
