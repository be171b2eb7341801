// SPDX-License-Identifier: Apache-2.0

package offload

import (
	"encoding/binary"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// Quote is the UDP header that an ICMP error quotes, as it arrived at the one who sent the error.
type Quote struct {
	By       netip.Addr // who sent the error, invalid where the packet does not say
	Src, Dst netip.AddrPort
	Length   int // of the UDP header and data
	Checksum uint16
}

// ICMP types that quote the datagram they are about, in the place where ParseQuote looks (RFC 792; RFC 4443 section 3).
const (
	icmpUnreachable = 3
	IcmpTimeExceed  = 11

	icmp6Unreachable = 1
	icmp6TimeExceed  = 3

	icmpHeaderLen = 8 // of these types
)

// ParseQuote reads a packet from a raw ICMP socket, with the IPv4 header in front. It comes from a stranger (I10). Only a first
// fragment, or a datagram in one piece, quotes a UDP header.
func ParseQuote(b []byte) (Quote, bool) {
	ip, rest, ok := cutIPv4(b)
	if !ok || ip.Protocol() != protocolICMP || len(rest) < icmpHeaderLen ||
		rest[0] != icmpUnreachable && rest[0] != IcmpTimeExceed {
		return Quote{}, false
	}
	inner, udp, ok := cutIPv4(rest[icmpHeaderLen:])
	if !ok || inner.Protocol() != frame.ProtocolUDP || binary.BigEndian.Uint16(inner[6:])&0x1fff != 0 {
		return Quote{}, false
	}
	return quoteOf(ip.Src(), inner.Src(), inner.Dst(), udp)
}

// ParseQuote6 reads a packet from a raw ICMPv6 socket, which comes without its IPv6 header (RFC 3542 section 3). A quoted
// extension header is not looked behind: the probes have none.
func ParseQuote6(b []byte, by netip.Addr) (Quote, bool) {
	if len(b) < icmpHeaderLen+frame.IPv6Len || b[0] != icmp6Unreachable && b[0] != icmp6TimeExceed {
		return Quote{}, false
	}
	inner := frame.IPv6(b[icmpHeaderLen:])
	if inner[0]>>4 != 6 || inner[6] != frame.ProtocolUDP {
		return Quote{}, false
	}
	return quoteOf(by, inner.Src(), inner.Dst(), inner[frame.IPv6Len:])
}

const protocolICMP = 1

// cutIPv4 divides a packet that may be cut short behind its header.
func cutIPv4(b []byte) (frame.IPv4, []byte, bool) {
	if len(b) < frame.IPv4Len || b[0]>>4 != 4 {
		return nil, nil, false
	}
	n := int(b[0]&0xf) * 4
	if n < frame.IPv4Len || n > len(b) {
		return nil, nil, false
	}
	return frame.IPv4(b[:n:n]), b[n:], true
}

func quoteOf(by, src, dst netip.Addr, udp []byte) (Quote, bool) {
	if len(udp) < frame.UDPLen {
		return Quote{}, false
	}
	u := frame.UDP(udp)
	return Quote{By: by, Src: netip.AddrPortFrom(src, u.SrcPort()), Dst: netip.AddrPortFrom(dst, u.DstPort()),
		Length: u.Len(), Checksum: u.Checksum()}, true
}
