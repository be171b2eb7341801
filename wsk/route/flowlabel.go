// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import "net/netip"

// stateless marks labels that no flow label manager gave out (include/net/ipv6.h, IPV6_FLOWLABEL_STATELESS_FLAG).
const stateless = 0x80000

// FlowLabel is the IPv6 flow label for datagrams between two addresses and ports, 0 for IPv4. The kernel's own socket, which has
// neither opted in nor out (IPV6_AUTOFLOWLABEL), sends 0 with net.ipv6.auto_flowlabels 0 or 2, and otherwise a hash under a
// secret key of its own, the same for all datagrams of a flow (net/ipv6/ip6_output.c, ip6_make_flowlabel). Which one can't be
// known; this is such a hash under a key of the table. The setting is as old as the table's last tick, at most 5 s.
func (t *Table) FlowLabel(src, dst netip.AddrPort) uint32 {
	if !dst.Addr().Is6() || dst.Addr().Is4In6() {
		return 0
	}
	to := dst.Addr().As16()
	return t.flowLabel(t.labelKey.source(src.Addr().As16(), src.Port()), &to, dst.Port())
}

// FlowLabels is FlowLabel from one address and port to a destination of IPv6, which is not kept: it is computed for every datagram of
// a sender to many, and must cost little. nil stands for 0.
type FlowLabels func(dst *[16]byte, port uint16) uint32

// FlowLabels prepares FlowLabel for one source and many destinations.
func (t *Table) FlowLabels(src netip.AddrPort) FlowLabels {
	from := t.labelKey.source(src.Addr().As16(), src.Port())
	return func(dst *[16]byte, port uint16) uint32 { return t.flowLabel(from, dst, port) }
}

func (t *Table) flowLabel(from uint64, dst *[16]byte, port uint16) uint32 {
	switch t.sysctls.flowLabels.value.Load() {
	case labelsOff, labelsOptIn:
		return 0
	}
	label := t.labelKey.label(from, dst, port)
	if t.sysctls.stateless.value.Load() != 0 {
		label |= stateless
	}
	return label
}
