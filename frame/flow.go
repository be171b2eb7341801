// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"errors"
	"fmt"
	"net/netip"
)

// DefaultTTL is the TTL or hop limit of a Flow that names none (the value IANA recommends, and Linux uses).
const DefaultTTL = 64

// ErrInvalidFlow is what every error of NewTemplate wraps.
var ErrInvalidFlow = errors.New("invalid flow")

// Flow is everything that the headers of a flow's datagrams have in common. The zero value of each optional field is
// the plain case.
type Flow struct {
	// SrcMAC is the sending interface's address, never a group address. DstMAC is the neighbour's, or what
	// MulticastMAC or BroadcastMAC says.
	SrcMAC, DstMAC MAC
	// VLANs are the tags, outermost first, at most MaxVLANTags. nil: untagged. The slice is not kept.
	VLANs []VLANTag
	// Src and Dst are addresses and ports of one family; v4-mapped addresses count as IPv4 and zones are ignored. A
	// source address may be unspecified (DHCP), a destination not. Port 0 is written as asked.
	Src, Dst netip.AddrPort
	// TTL is the TTL or hop limit. 0 means DefaultTTL: no datagram may leave with 0 (RFC 1122 section 3.2.1.7).
	TTL uint8
	// TOS is the whole TOS or traffic class octet, ECN bits included.
	TOS uint8
	// FlowLabel is the IPv6 flow label, 0 to MaxFlowLabel; 0 for IPv4.
	FlowLabel uint32
	// DF sets don't-fragment in IPv4 headers. In both families it makes PlanFragments refuse to fragment.
	DF bool
	// NoChecksum sends the UDP checksum as 0. IPv4 only: RFC 8200 section 8.1 forbids it for IPv6.
	NoChecksum bool
}

func (f *Flow) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	src, dst := f.Src.Addr().Unmap(), f.Dst.Addr().Unmap()
	switch {
	case !f.Src.IsValid() || !f.Dst.IsValid():
		bad("source %v and destination %v: both must be set", f.Src, f.Dst)
	case src.Is4() != dst.Is4():
		bad("source %v and destination %v: address families differ", src, dst)
	case src.IsMulticast():
		bad("source %v: a multicast address can't be a source", src)
	case dst.IsUnspecified():
		bad("destination %v: an unspecified address can't be a destination", dst)
	case dst.Is6() && f.NoChecksum:
		bad("destination %v: udp over ipv6 can't go without a checksum", dst)
	case dst.Is4() && f.FlowLabel != 0:
		bad("flow label %#x: ipv4 has none, leave it 0", f.FlowLabel)
	}
	if f.SrcMAC.IsGroup() {
		bad("source mac %v: a group address can't be a source", f.SrcMAC)
	}
	if f.FlowLabel > MaxFlowLabel {
		bad("flow label %#x: more than 20 bits", f.FlowLabel)
	}
	if len(f.VLANs) > MaxVLANTags {
		bad("%d vlan tags: at most %d are supported", len(f.VLANs), MaxVLANTags)
	}
	for _, tag := range f.VLANs {
		if tag.TPID != 0 && !isVLANType(tag.TPID) {
			bad("vlan tpid %#04x: use %#04x or %#04x", tag.TPID, EtherTypeVLAN, EtherTypeQinQ)
		}
		if tag.ID > MaxVLANID {
			bad("vlan id %d: the largest is %d", tag.ID, MaxVLANID)
		}
		if tag.PCP > 7 {
			bad("vlan priority %d: the highest is 7", tag.PCP)
		}
	}
	if errs != nil {
		return fmt.Errorf("frame template: %w: %w", ErrInvalidFlow, errors.Join(errs...))
	}
	return nil
}
