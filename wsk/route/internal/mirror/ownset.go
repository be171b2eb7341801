// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import "net/netip"

// ownSet is the addresses of the host. It is asked about every destination of IPv6, nearly all of which are not in it: the last
// bytes of those that are spare most questions to the map. Once a snapshot has it, it does not change.
type ownSet struct {
	all  map[netip.Addr]struct{}
	last [4]uint64 // one bit for each value of the last byte
}

func newOwnSet() ownSet { return ownSet{all: map[netip.Addr]struct{}{}} }

func (s *ownSet) add(a netip.Addr) {
	s.all[a] = struct{}{}
	b := a.As16()[15]
	s.last[b/64] |= 1 << (b % 64)
}

func (s *ownSet) has(a netip.Addr) bool {
	if b := a.As16()[15]; s.last[b/64]&(1<<(b%64)) == 0 {
		return false
	}
	_, ok := s.all[a]
	return ok
}
