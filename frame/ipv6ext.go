// SPDX-License-Identifier: Apache-2.0

package frame

import "encoding/binary"

const (
	// IPv6FragmentLen is the length of the fragment header.
	IPv6FragmentLen = 8
	// NextHeaderFragment is its next-header number.
	NextHeaderFragment uint8 = 44
)

// isIPv6Extension tells the extension headers from upper-layer protocols. The numbers are IANA's "IPv6 Extension Header
// Types"; the fragment header is one too and is treated apart where it can be read.
func isIPv6Extension(next uint8) bool {
	switch next {
	case 0, // hop-by-hop options
		43,       // routing
		44,       // fragment
		50,       // encapsulating security payload
		51,       // authentication
		60,       // destination options
		135,      // mobility
		139,      // host identity protocol
		140,      // shim6
		253, 254: // experiments
		return true
	}
	return false
}

// IPv6Fragment is a fragment header and what follows it.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Next Header  |   Reserved    |      Fragment Offset    |Res|M|
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         Identification                        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// RFC 8200 section 4.5. Call Valid once before any accessor; see the package comment.
type IPv6Fragment []byte

// Valid reports whether b holds a whole header.
func (b IPv6Fragment) Valid() bool { return len(b) >= IPv6FragmentLen }

// NextHeader is the number of the header that the fragmented part began with.
func (b IPv6Fragment) NextHeader() uint8 { return b[0] }

// Offset is where the data belongs in the original's fragmentable part, in bytes.
func (b IPv6Fragment) Offset() int { return int(binary.BigEndian.Uint16(b[2:4]) &^ 7) }

// More reports whether more fragments follow.
func (b IPv6Fragment) More() bool { return b[3]&1 != 0 }

// ID is the identification.
func (b IPv6Fragment) ID() uint32 { return binary.BigEndian.Uint32(b[4:8]) }

// Payload is the fragment's data.
func (b IPv6Fragment) Payload() []byte { return b[IPv6FragmentLen:] }

// Encode writes the whole header, the reserved fields as zero. offset is in bytes, a multiple of 8 up to 65528.
func (b IPv6Fragment) Encode(next uint8, offset int, more bool, id uint32) {
	v := uint16(offset) &^ 7
	if more {
		v |= 1
	}
	b[0], b[1] = next, 0
	binary.BigEndian.PutUint16(b[2:4], v)
	binary.BigEndian.PutUint32(b[4:8], id)
}
