// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"encoding/binary"
	"net/netip"
)

const (
	// IPv4Len is the length of an IPv4 header without options, the only kind that is built.
	IPv4Len = 20
	// MaxIPv4Payload is the largest UDP payload over IPv4: 65535 less an IPv4 and a UDP header.
	MaxIPv4Payload = 0xffff - IPv4Len - UDPLen
	// MinIPv4MTU is what every link must carry (RFC 791 section 3.2).
	MinIPv4MTU = 68
	// ProtocolUDP is the IPv4 protocol and IPv6 next-header number of UDP.
	ProtocolUDP uint8 = 17
)

const (
	ipv4DF         uint16 = 0x4000
	ipv4MF         uint16 = 0x2000
	ipv4OffsetMask uint16 = 0x1fff
)

// IPv4 is an IPv4 packet from its first octet.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Version|  IHL  |Type of Service|          Total Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Identification        |Flags|      Fragment Offset    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Time to Live |    Protocol   |         Header Checksum       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       Source Address                          |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Destination Address                        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Options                    |    Padding    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// RFC 791 section 3.1. Call Valid once before any accessor; see the package comment.
type IPv4 []byte

// Valid reports whether b is version 4 with a header length of at least 20 that fits into b and into the total
// length, and a total length that fits into b. It is what the kernel's ip_rcv_core asks, the checksum excepted.
func (b IPv4) Valid() bool {
	_, _, r := b.lengths()
	return r == ReasonOK
}

// lengths reads the header and total length once and checks what it read.
func (b IPv4) lengths() (header, total int, r Reason) {
	if len(b) < IPv4Len {
		return 0, 0, ReasonIPv4Short
	}
	first := b[0]
	if first>>4 != 4 {
		return 0, 0, ReasonIPv4Version
	}
	header = int(first&15) * 4
	if header < IPv4Len || header > len(b) {
		return 0, 0, ReasonIPv4HeaderLength
	}
	total = b.TotalLen()
	if total < header || total > len(b) {
		return 0, 0, ReasonIPv4TotalLength
	}
	return header, total, ReasonOK
}

// Version is 4 in a valid header.
func (b IPv4) Version() int { return int(b[0] >> 4) }

// HeaderLen is the header's length in bytes (IHL × 4), options included.
func (b IPv4) HeaderLen() int { return int(b[0]&15) * 4 }

// TOS is the whole type of service octet: DSCP in the high six bits, ECN in the low two (RFC 2474, RFC 3168).
func (b IPv4) TOS() uint8 { return b[1] }

// TotalLen is the length of header and data in bytes.
func (b IPv4) TotalLen() int { return int(binary.BigEndian.Uint16(b[2:4])) }

// ID is the identification, meaningful in fragments only (RFC 6864).
func (b IPv4) ID() uint16 { return binary.BigEndian.Uint16(b[4:6]) }

// DF reports whether routers may not fragment the packet.
func (b IPv4) DF() bool { return binary.BigEndian.Uint16(b[6:8])&ipv4DF != 0 }

// MF reports whether more fragments follow.
func (b IPv4) MF() bool { return binary.BigEndian.Uint16(b[6:8])&ipv4MF != 0 }

// FragmentOffset is where the data belongs in the original packet's, in bytes.
func (b IPv4) FragmentOffset() int { return int(binary.BigEndian.Uint16(b[6:8])&ipv4OffsetMask) * 8 }

// TTL is the time to live.
func (b IPv4) TTL() uint8 { return b[8] }

// Protocol is the number of the protocol of the data.
func (b IPv4) Protocol() uint8 { return b[9] }

// Checksum is the header checksum.
func (b IPv4) Checksum() uint16 { return binary.BigEndian.Uint16(b[10:12]) }

// Src is the source address.
func (b IPv4) Src() netip.Addr { return netip.AddrFrom4([4]byte(b[12:16])) }

// Dst is the destination address.
func (b IPv4) Dst() netip.Addr { return netip.AddrFrom4([4]byte(b[16:20])) }

// Options are the octets between the fixed header and the data, empty as a rule.
func (b IPv4) Options() []byte { return b[IPv4Len:b.HeaderLen()] }

// Payload is the data up to the total length, so without Ethernet padding.
func (b IPv4) Payload() []byte { return b[b.HeaderLen():b.TotalLen()] }

// SetVersionIHL sets version 4 and a header length in bytes, a multiple of 4 from 20 to 60.
func (b IPv4) SetVersionIHL(headerLen int) { b[0] = 4<<4 | byte(headerLen/4)&15 }

// SetTOS sets the type of service octet.
func (b IPv4) SetTOS(tos uint8) { b[1] = tos }

// SetTotalLen sets the length of header and data; n is at most 65535.
func (b IPv4) SetTotalLen(n int) { binary.BigEndian.PutUint16(b[2:4], uint16(n)) }

// SetID sets the identification.
func (b IPv4) SetID(id uint16) { binary.BigEndian.PutUint16(b[4:6], id) }

// SetFragment sets both flags and the offset, in bytes and a multiple of 8 up to 65528. The reserved flag is cleared.
func (b IPv4) SetFragment(df, mf bool, offset int) {
	v := uint16(offset/8) & ipv4OffsetMask
	if df {
		v |= ipv4DF
	}
	if mf {
		v |= ipv4MF
	}
	binary.BigEndian.PutUint16(b[6:8], v)
}

// SetTTL sets the time to live.
func (b IPv4) SetTTL(ttl uint8) { b[8] = ttl }

// SetProtocol sets the protocol number of the data.
func (b IPv4) SetProtocol(p uint8) { b[9] = p }

// SetSrc sets the source address, which must be IPv4 or v4-mapped.
func (b IPv4) SetSrc(a netip.Addr) { *(*[4]byte)(b[12:16]) = a.As4() }

// SetDst sets the destination address, which must be IPv4 or v4-mapped.
func (b IPv4) SetDst(a netip.Addr) { *(*[4]byte)(b[16:20]) = a.As4() }

// SetChecksum sets the header checksum field as it is given.
func (b IPv4) SetChecksum(c uint16) { binary.BigEndian.PutUint16(b[10:12], c) }

// UpdateChecksum sets the checksum of the header as it now stands, options included.
func (b IPv4) UpdateChecksum() {
	b.SetChecksum(0)
	b.SetChecksum(Checksum(b[:b.HeaderLen()]))
}

// ChecksumOK reports whether the header sums up to all ones (RFC 1071 section 1).
func (b IPv4) ChecksumOK() bool { return Checksum(b[:b.HeaderLen()]) == 0 }
