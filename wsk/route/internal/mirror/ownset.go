// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"net/netip"
)

// ownSet is the addresses of the host. It is asked about every destination of IPv6, nearly all of which are not in it: eight bits of
// those that are, of all octets, spare most questions to the map. Hosts often end in the same octet, as ::1 does. Once a snapshot has
// it, it does not change.
type ownSet struct {
	all  map[netip.Addr]struct{}
	seen [4]uint64 // one bit for each value of digest
}

func newOwnSet() ownSet { return ownSet{all: map[netip.Addr]struct{}{}} }

// digest is eight bits of an address.
func digest(a netip.Addr) uint8 {
	b := a.As16()
	const odd = 0x9e3779b97f4a7c15
	return uint8((binary.NativeEndian.Uint64(b[:8])*odd ^ binary.NativeEndian.Uint64(b[8:])) * odd >> 56)
}

func (s *ownSet) add(a netip.Addr) {
	s.all[a] = struct{}{}
	d := digest(a)
	s.seen[d/64] |= 1 << (d % 64)
}

func (s *ownSet) has(a netip.Addr) bool {
	if d := digest(a); s.seen[d/64]&(1<<(d%64)) == 0 {
		return false
	}
	_, ok := s.all[a]
	return ok
}
