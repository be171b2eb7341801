// SPDX-License-Identifier: Apache-2.0

package frame

import "encoding/binary"

// UDPLen is the length of a UDP header.
const UDPLen = 8

// udpChecksumOffset is where the checksum field lies in a UDP header.
const udpChecksumOffset = 6

// UDP is a datagram from the first octet of its header.
//
//	 0      7 8     15 16    23 24    31
//	+--------+--------+--------+--------+
//	|     Source      |   Destination   |
//	|      Port       |      Port       |
//	+--------+--------+--------+--------+
//	|                 |                 |
//	|     Length      |    Checksum     |
//	+--------+--------+--------+--------+
//	|          data octets ...
//	+---------------- ...
//
// RFC 768. Call Valid once before any accessor; see the package comment.
type UDP []byte

// Valid reports whether b holds a whole header whose length is at least 8 and fits into b. A length of 0, which RFC
// 2675 uses for jumbograms, is not valid here.
func (b UDP) Valid() bool {
	_, r := b.length()
	return r == ReasonOK
}

// length reads the length once and checks what it read.
func (b UDP) length() (n int, r Reason) {
	if len(b) < UDPLen {
		return 0, ReasonUDPShort
	}
	n = b.Len()
	if n < UDPLen || n > len(b) {
		return 0, ReasonUDPLength
	}
	return n, ReasonOK
}

// SrcPort is the source port, 0 when unused.
func (b UDP) SrcPort() uint16 { return binary.BigEndian.Uint16(b[0:2]) }

// DstPort is the destination port.
func (b UDP) DstPort() uint16 { return binary.BigEndian.Uint16(b[2:4]) }

// Len is the length of header and data in bytes.
func (b UDP) Len() int { return int(binary.BigEndian.Uint16(b[4:6])) }

// Checksum is the checksum field; 0 means that the sender computed none.
func (b UDP) Checksum() uint16 { return binary.BigEndian.Uint16(b[6:8]) }

// Payload is the data up to the UDP length.
func (b UDP) Payload() []byte { return b[UDPLen:b.Len()] }

// SetSrcPort sets the source port.
func (b UDP) SetSrcPort(p uint16) { binary.BigEndian.PutUint16(b[0:2], p) }

// SetDstPort sets the destination port.
func (b UDP) SetDstPort(p uint16) { binary.BigEndian.PutUint16(b[2:4], p) }

// SetLen sets the length of header and data; n is at most 65535.
func (b UDP) SetLen(n int) { binary.BigEndian.PutUint16(b[4:6], uint16(n)) }

// SetChecksum sets the checksum field as it is given; see UDPChecksum for the rule about zero.
func (b UDP) SetChecksum(c uint16) { binary.BigEndian.PutUint16(b[6:8], c) }
