// SPDX-License-Identifier: Apache-2.0

package frame

import "net/netip"

// Packet is what Parse read. Offsets count from the frame's first octet. Which fields are set depends on the Reason;
// those not named for it are zero.
//
//	ReasonOK, ReasonIPv4Options  all
//	ReasonFragment               all but UDP lengths: PayloadOffset and PayloadLen are the fragment's data, and the
//	                             ports and UDPOffset are set only in a first fragment that holds the UDP header
//	ReasonUDPShort,              the Ethernet and IP fields, Protocol, and the data that were to be UDP in
//	ReasonUDPLength,             PayloadOffset and PayloadLen (after an IPv6 fragment header when there is one)
//	ReasonNotUDP,
//	ReasonIPv6Extension,
//	ReasonBadFragment
//	the rest                     as many of the outer layers as were read before
type Packet struct {
	// Src and Dst are the addresses, without zone, and the ports.
	Src, Dst netip.AddrPort
	// SrcMAC and DstMAC are the Ethernet addresses.
	SrcMAC, DstMAC MAC
	// VLANs are the tags, outermost first; the first NumVLANs count.
	VLANs    [MaxVLANTags]VLANTag
	NumVLANs uint8
	// EtherType is the type behind the tags.
	EtherType uint16

	// TOS is the TOS or traffic class octet, TTL the TTL or hop limit, Protocol the protocol of the data.
	TOS, TTL, Protocol uint8
	// DF is the don't-fragment flag of IPv4.
	DF bool
	// MoreFragments is set in all fragments but the last of a packet.
	MoreFragments bool
	// FragmentOffset is the place of a fragment's data in the whole, in bytes.
	FragmentOffset uint16
	// FlowLabel is the IPv6 flow label.
	FlowLabel uint32
	// ID is the IPv4 identification, or that of an IPv6 fragment header.
	ID uint32

	// IPOffset is where the IP header begins, UDPOffset the UDP header.
	IPOffset, UDPOffset int
	// PayloadOffset and PayloadLen are the datagram's payload by its UDP length. Octets behind it, padding or
	// RFC 9868 options, belong to no one.
	PayloadOffset, PayloadLen int
}

// Is6 reports whether the packet is IPv6.
func (p *Packet) Is6() bool { return p.EtherType == EtherTypeIPv6 }

// Payload is the payload inside b, the frame that was parsed. It shares b's memory and its capacity ends with it.
func (p *Packet) Payload(b []byte) []byte {
	end := p.PayloadOffset + p.PayloadLen
	return b[p.PayloadOffset:end:end]
}

// Parse reads a frame from its first octet. It is total: it accepts any bytes, never panics and never
// allocates; ReasonOK means one whole, unfragmented UDP datagram without IP options. Checksums are not looked at; see
// VerifyChecksums. b is only read during the call.
//
// Every length that Parse reports was checked against len(b). The octets of b are hostile: each length is read once,
// so Parse stays in bounds even when b changes under it; what it then reports may no longer be what b says.
func Parse(b []byte) (p Packet, r Reason) {
	if len(b) < EthernetLen {
		return p, ReasonEthernetShort
	}
	eth := Ethernet(b)
	p.DstMAC, p.SrcMAC = eth.Dst(), eth.Src()
	etherType := eth.EtherType()
	at := EthernetLen
	for isVLANType(etherType) {
		if p.NumVLANs == MaxVLANTags {
			return p, ReasonVLANDepth
		}
		tag := VLAN(b[at:])
		if !tag.Valid() {
			return p, ReasonVLANShort
		}
		p.VLANs[p.NumVLANs&(MaxVLANTags-1)] = VLANTagFrom(etherType, tag.TCI())
		p.NumVLANs++
		etherType = tag.EtherType()
		at += VLANTagLen
	}
	p.EtherType = etherType
	p.IPOffset = at
	switch etherType {
	case EtherTypeIPv4:
		r = p.parseIPv4(b[at:])
	case EtherTypeIPv6:
		r = p.parseIPv6(b[at:])
	default:
		p.IPOffset = 0
		r = ReasonNotIP
	}
	return p, r
}

// parseIPv4 reads the packet at p.IPOffset, ip being the frame from there.
func (p *Packet) parseIPv4(ip IPv4) Reason {
	headerLen, total, r := ip.lengths()
	if r != ReasonOK {
		return r
	}
	p.Src, p.Dst = netip.AddrPortFrom(ip.Src(), 0), netip.AddrPortFrom(ip.Dst(), 0)
	p.TOS, p.TTL, p.Protocol = ip.TOS(), ip.TTL(), ip.Protocol()
	p.ID, p.DF = uint32(ip.ID()), ip.DF()
	p.MoreFragments, p.FragmentOffset = ip.MF(), uint16(ip.FragmentOffset())
	p.PayloadOffset = p.IPOffset + headerLen
	p.PayloadLen = total - headerLen

	if p.Protocol != ProtocolUDP {
		return ReasonNotUDP
	}
	data := ip[headerLen:total]
	if p.MoreFragments || p.FragmentOffset != 0 {
		// The whole must fit an IPv4 packet with this header.
		return p.parseFragment(data, 0xffff-headerLen)
	}
	if r := p.parseUDP(data); r != ReasonOK {
		return r
	}
	if headerLen > IPv4Len {
		return ReasonIPv4Options
	}
	return ReasonOK
}

// parseIPv6 reads the packet at p.IPOffset, ip being the frame from there.
func (p *Packet) parseIPv6(ip IPv6) Reason {
	payloadLen, r := ip.length()
	if r != ReasonOK {
		return r
	}
	p.Src, p.Dst = netip.AddrPortFrom(ip.Src(), 0), netip.AddrPortFrom(ip.Dst(), 0)
	p.TOS, p.TTL, p.Protocol = ip.TrafficClass(), ip.HopLimit(), ip.NextHeader()
	p.FlowLabel = ip.FlowLabel()
	p.PayloadOffset = p.IPOffset + IPv6Len
	p.PayloadLen = payloadLen
	data := []byte(ip[IPv6Len : IPv6Len+payloadLen])

	fragment := p.Protocol == NextHeaderFragment
	if fragment {
		fh := IPv6Fragment(data)
		if !fh.Valid() {
			return ReasonIPv6FragmentShort
		}
		p.Protocol, p.ID = fh.NextHeader(), fh.ID()
		p.MoreFragments, p.FragmentOffset = fh.More(), uint16(fh.Offset())
		p.PayloadOffset += IPv6FragmentLen
		p.PayloadLen -= IPv6FragmentLen
		data = fh.Payload()
	}
	switch {
	case p.Protocol == ProtocolUDP && fragment:
		return p.parseFragment(data, 0xffff)
	case p.Protocol == ProtocolUDP:
		return p.parseUDP(data)
	case isIPv6Extension(p.Protocol):
		return ReasonIPv6Extension
	}
	return ReasonNotUDP
}

// parseFragment checks what a fragment can be checked for on its own, limit being the most that reassembly may give.
// IPv6's atomic fragments, whole datagrams with a fragment header (RFC 6946), are fragments here too.
func (p *Packet) parseFragment(data []byte, limit int) Reason {
	if p.MoreFragments && (len(data)%8 != 0 || len(data) == 0) || int(p.FragmentOffset)+len(data) > limit {
		return ReasonBadFragment
	}
	if p.FragmentOffset == 0 && len(data) >= UDPLen {
		p.UDPOffset = p.PayloadOffset
		p.setPorts(UDP(data))
	}
	return ReasonFragment
}

// parseUDP reads the datagram at p.PayloadOffset. A UDP length below the IP packet's is accepted, as the kernel does:
// what follows is the surplus area of RFC 9868.
func (p *Packet) parseUDP(data []byte) Reason {
	udp := UDP(data)
	n, r := udp.length()
	if r != ReasonOK {
		return r
	}
	p.UDPOffset = p.PayloadOffset
	p.setPorts(udp)
	p.PayloadOffset += UDPLen
	p.PayloadLen = n - UDPLen
	return ReasonOK
}

func (p *Packet) setPorts(udp UDP) {
	p.Src = netip.AddrPortFrom(p.Src.Addr(), udp.SrcPort())
	p.Dst = netip.AddrPortFrom(p.Dst.Addr(), udp.DstPort())
}
