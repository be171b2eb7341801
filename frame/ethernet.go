// SPDX-License-Identifier: Apache-2.0

package frame

import "encoding/binary"

// EthernetLen is the length of an Ethernet II header.
const EthernetLen = 14

// EtherType values of what this package builds and reads.
const (
	EtherTypeIPv4 uint16 = 0x0800
	EtherTypeIPv6 uint16 = 0x86dd
	EtherTypeVLAN uint16 = 0x8100 // IEEE 802.1Q customer tag
	EtherTypeQinQ uint16 = 0x88a8 // IEEE 802.1ad service tag
)

// Ethernet is a frame from its first octet, without preamble and FCS.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Destination Address                      |
//	+                               +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                               |                               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               +
//	|                        Source Address                         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|           EtherType           |           Payload ...
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// The layout is RFC 894's. Call Valid once before any accessor; see the package comment.
type Ethernet []byte

// Valid reports whether b holds a whole header.
func (b Ethernet) Valid() bool { return len(b) >= EthernetLen }

// Dst is the destination address.
func (b Ethernet) Dst() MAC { return MAC(b[0:6]) }

// Src is the source address.
func (b Ethernet) Src() MAC { return MAC(b[6:12]) }

// EtherType is the type of what follows. Values below 0x0600 are an IEEE 802.3 length and no type.
func (b Ethernet) EtherType() uint16 { return binary.BigEndian.Uint16(b[12:14]) }

// Payload is what follows the header: a VLAN tag's last four octets, an IP packet, or something else, and after it
// padding up to the shortest frame of the medium.
func (b Ethernet) Payload() []byte { return b[EthernetLen:] }

// SetDst sets the destination address.
func (b Ethernet) SetDst(m MAC) { copy(b[0:6], m[:]) }

// SetSrc sets the source address.
func (b Ethernet) SetSrc(m MAC) { copy(b[6:12], m[:]) }

// SetEtherType sets the type of what follows.
func (b Ethernet) SetEtherType(t uint16) { binary.BigEndian.PutUint16(b[12:14], t) }
