// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"encoding/binary"
	"net/netip"
)

const (
	// IPv6Len is the length of the fixed IPv6 header.
	IPv6Len = 40
	// MaxIPv6Payload is the largest UDP payload over IPv6 without jumbograms: a payload length of 65535 less a
	// UDP header.
	MaxIPv6Payload = 0xffff - UDPLen
	// MinIPv6MTU is what every link must carry (RFC 8200 section 5).
	MinIPv6MTU = 1280
	// MaxFlowLabel is the largest IPv6 flow label, of 20 bits (RFC 6437).
	MaxFlowLabel = 1<<20 - 1
)

// IPv6 is an IPv6 packet from its first octet.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Version| Traffic Class |           Flow Label                  |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Payload Length        |  Next Header  |   Hop Limit   |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                                                               |
//	+                         Source Address                        +
//	|                          (128 bits)                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                                                               |
//	+                      Destination Address                      +
//	|                          (128 bits)                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// RFC 8200 section 3. Call Valid once before any accessor; see the package comment.
type IPv6 []byte

// Valid reports whether b is version 6 with a whole header and a payload length that fits into b.
func (b IPv6) Valid() bool {
	_, r := b.length()
	return r == ReasonOK
}

// length reads the payload length once and checks what it read.
func (b IPv6) length() (payload int, r Reason) {
	if len(b) < IPv6Len {
		return 0, ReasonIPv6Short
	}
	if b.Version() != 6 {
		return 0, ReasonIPv6Version
	}
	payload = b.PayloadLen()
	if IPv6Len+payload > len(b) {
		return 0, ReasonIPv6PayloadLength
	}
	return payload, ReasonOK
}

// Version is 6 in a valid header.
func (b IPv6) Version() int { return int(b[0] >> 4) }

// TrafficClass is the whole octet: DSCP in the high six bits, ECN in the low two.
func (b IPv6) TrafficClass() uint8 { return b[0]<<4 | b[1]>>4 }

// FlowLabel is the 20-bit label.
func (b IPv6) FlowLabel() uint32 { return binary.BigEndian.Uint32(b[0:4]) & MaxFlowLabel }

// PayloadLen is the length of all that follows the fixed header, extension headers included.
func (b IPv6) PayloadLen() int { return int(binary.BigEndian.Uint16(b[4:6])) }

// NextHeader is the number of the first header after the fixed one.
func (b IPv6) NextHeader() uint8 { return b[6] }

// HopLimit is the hop limit.
func (b IPv6) HopLimit() uint8 { return b[7] }

// Src is the source address, without a zone.
func (b IPv6) Src() netip.Addr { return netip.AddrFrom16([16]byte(b[8:24])) }

// Dst is the destination address, without a zone.
func (b IPv6) Dst() netip.Addr { return netip.AddrFrom16([16]byte(b[24:40])) }

// Payload is what follows the fixed header, up to the payload length, so without Ethernet padding.
func (b IPv6) Payload() []byte { return b[IPv6Len : IPv6Len+b.PayloadLen()] }

// SetVersionClassLabel sets the first four octets: version 6, traffic class and a flow label of 20 bits.
func (b IPv6) SetVersionClassLabel(class uint8, label uint32) {
	binary.BigEndian.PutUint32(b[0:4], 6<<28|uint32(class)<<20|label&MaxFlowLabel)
}

// SetPayloadLen sets the payload length; n is at most 65535.
func (b IPv6) SetPayloadLen(n int) { binary.BigEndian.PutUint16(b[4:6], uint16(n)) }

// SetNextHeader sets the number of the next header.
func (b IPv6) SetNextHeader(p uint8) { b[6] = p }

// SetHopLimit sets the hop limit.
func (b IPv6) SetHopLimit(n uint8) { b[7] = n }

// SetSrc sets the source address. The zone is dropped; an IPv4 address is written v4-mapped.
func (b IPv6) SetSrc(a netip.Addr) { *(*[16]byte)(b[8:24]) = a.As16() }

// SetDst sets the destination address. The zone is dropped; an IPv4 address is written v4-mapped.
func (b IPv6) SetDst(a netip.Addr) { *(*[16]byte)(b[24:40]) = a.As16() }
