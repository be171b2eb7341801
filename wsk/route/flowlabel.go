// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
)

const (
	flowLabelMask = 0xfffff
	// stateless marks labels that no flow label manager gave out (include/net/ipv6.h, IPV6_FLOWLABEL_STATELESS_FLAG).
	stateless = 0x80000
)

// FlowLabel is the IPv6 flow label for datagrams between two addresses and ports, 0 for IPv4. The kernel's own socket, which has
// neither opted in nor out (IPV6_AUTOFLOWLABEL), sends 0 with net.ipv6.auto_flowlabels 0 or 2, and otherwise a hash under a
// secret key of its own, the same for all datagrams of a flow (net/ipv6/ip6_output.c, ip6_make_flowlabel). Which one can't be
// known; this is such a hash under a key of the table. The setting is as old as the table's last tick, at most 5 s.
func (t *Table) FlowLabel(src, dst netip.AddrPort) uint32 {
	if !dst.Addr().Is6() || dst.Addr().Is4In6() {
		return 0
	}
	switch t.sysctls.flowLabels.value.Load() {
	case labelsOff, labelsOptIn:
		return 0
	}
	var flow [2 * (16 + 2)]byte // in bytes, since hashing an Addr allocates
	for i, end := range [2]netip.AddrPort{src, dst} {
		b, a := flow[18*i:], end.Addr().As16()
		copy(b, a[:])
		binary.BigEndian.PutUint16(b[16:], end.Port())
	}
	label := uint32(maphash.Bytes(t.labelKey, flow[:])) & flowLabelMask
	if t.sysctls.stateless.value.Load() != 0 {
		label |= stateless
	}
	return label
}
