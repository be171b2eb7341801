// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
)

// blocks remembers of a plan which ranges of destinations have one answer, so that most destinations of a host with few routes are
// found by their first octets, whatever tables there are. A range is all addresses that begin with the same octets. It has one answer
// where no table of the plan has a longer prefix in it, and nothing in it is looked at one by one: then all that covers one of its
// addresses covers them all. It is divided where that is not so.
//
// It is filled by look-ups that find nothing here, one of rememberOne, since what is to be found out about a range costs more than a
// look-up and is good for the plan's snapshot only. A plan is used by many at once; each place is written once.
type blocks struct {
	root    atomic.Pointer[inside]
	answers [16]atomic.Pointer[block] // to be used again, by their hops
	divided atomic.Int32              // blocks
	skip    int                       // octets before an address
}

// block is a range of destinations.
type block struct {
	answer Result // of each; no hop: they are looked up one by one
	inside *inside
}

// inside is a range by the next octet; nil is not known yet.
type inside [256]atomic.Pointer[block]

// oneByOne is a range about which nothing can be remembered.
var oneByOne = new(block)

const (
	// rememberOne of so many destinations that are looked up has its range found out.
	rememberOne = 16
	// maxDivided bounds the memory of a plan: 2 KiB for each range that is divided. A table of the whole Internet needs more than any
	// bound; its routes are looked up.
	maxDivided = 24
)

// find is the range of a destination, nil where that is not known.
func (s *blocks) find(dst *[16]byte) (b *block) {
	in := s.root.Load()
	for i := s.skip; in != nil && i < len(dst); i++ {
		if b = in[dst[i]].Load(); b == nil {
			break
		}
		in = b.inside
	}
	return b
}

// isOrdinary reports whether a destination is in a range whose first octet alone says that Snapshot.special and Snapshot.result look
// at no other bits of it, but for the host's own addresses and exceptions.
func isOrdinary(dst netip.Addr) bool {
	if dst.Is4() {
		first := dst.As4()[0]
		return first != 0 && first < 224
	}
	first := dst.As16()[0]
	return first != 0 && first < 0xfe
}

// remember finds out for which range around dst its answer is good, with some luck.
func (p *Plan) remember(dst netip.Addr, answer Result) {
	if p.each || !isOrdinary(dst) || rand.Uint32()%rememberOne != 0 {
		return
	}
	p.learn(dst, answer)
}

func (p *Plan) learn(dst netip.Addr, answer Result) {
	s := &p.blocks
	in := s.root.Load()
	if in == nil {
		s.root.CompareAndSwap(nil, new(inside))
		in = s.root.Load()
	}
	for i, octet := range dst.AsSlice() {
		there := &in[octet]
		if there.Load() == nil {
			next := oneByOne
			if p.isUniform(netip.PrefixFrom(dst, 8*(i+1)).Masked()) {
				next = s.leaf(answer)
			} else if s.divided.Add(1) <= maxDivided {
				next = &block{inside: new(inside)}
			}
			there.CompareAndSwap(nil, next)
		}
		if in = there.Load().inside; in == nil {
			return
		}
	}
}

// leaf is a range with one answer. Those with the same are mostly one.
func (s *blocks) leaf(answer Result) *block {
	slot := &s.answers[answer.Hop.Number%uint64(len(s.answers))]
	if b := slot.Load(); b != nil && b.answer == answer {
		return b
	}
	b := &block{answer: answer}
	slot.Store(b)
	return b
}

// isUniform reports whether all addresses of a range, whose first octet is ordinary, have one answer: that of any of them that is not
// an address of the host.
func (p *Plan) isUniform(in netip.Prefix) bool {
	for _, r := range p.tables {
		for longer := range r.trie.Subnets(in) {
			if longer.Bits() > in.Bits() {
				return false
			}
		}
	}
	if p.at.exceptions != nil && p.at.exceptions.OverlapsPrefix(in) {
		return false
	}
	for a := range p.at.own.all {
		if in.Contains(a) {
			return false
		}
	}
	return true
}
