// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Sum accumulates an Internet checksum (RFC 1071) over pieces of any length, in order. The zero value is the sum
// of nothing. It is a plain value: copying it forks the sum, and a method call is the only thing that changes it. It is
// not safe for concurrent use.
//
// A piece that starts at an odd offset of the whole has the octets of its 16-bit words exchanged. A one's complement
// sum can be exchanged afterwards just as well (RFC 1071 section 2 (B)), so each piece is summed as if it started at an
// even offset and then turned by one octet where needed; pieces may be cut anywhere.
type Sum struct {
	// acc is a 64-bit one's complement sum of little-endian words. Little-endian, because the sum of
	// byte-swapped words is the byte-swapped sum and most machines load little-endian words for nothing.
	acc uint64
	// turn is 8 after an odd number of octets, else 0: how far the next piece's sum is rotated.
	turn uint8
}

// Add appends b.
func (s *Sum) Add(b []byte) {
	s.append(sumBytes(b), uint(len(b)))
}

// CopyAdd copies b to dst and appends it. The sum is taken from the octets that arrived in dst, so that
// the frame is consistent in itself even when somebody changes b at the same moment, and b is read once.
//
// Preconditions: len(dst) >= len(b), else it panics; dst and b do not overlap.
func (s *Sum) CopyAdd(dst, b []byte) {
	dst = dst[:len(b)]
	s.append(copySumBytes(dst, b), uint(len(b)))
}

// Append appends what t is the sum of: two parts may be summed apart and put together, with the second at an odd
// offset too.
func (s *Sum) Append(t Sum) {
	s.append(t.acc, uint(t.turn>>3))
}

// AddUint16 appends a number of two octets.
func (s *Sum) AddUint16(v uint16) {
	s.append(uint64(bits.ReverseBytes16(v)), 2)
}

func (s *Sum) append(sum uint64, length uint) {
	s.acc = add1s(s.acc, bits.RotateLeft64(sum, int(s.turn)))
	s.turn ^= uint8(length&1) << 3
}

// Fold is the 16-bit one's complement sum, not yet complemented: what a checksum field is preset with when the
// device completes it. It is 0 only when every octet summed was 0.
func (s Sum) Fold() uint16 {
	// In x + rotate(x, half) the upper half holds high + low + the carry of low + high: an end-around carry.
	v := (s.acc + bits.RotateLeft64(s.acc, 32)) >> 32
	return bits.ReverseBytes16(uint16((uint32(v) + bits.RotateLeft32(uint32(v), 16)) >> 16))
}

// Checksum is the complement of Fold, the value of an IPv4 header's checksum field. Over data that include a right
// checksum it is 0.
func (s Sum) Checksum() uint16 { return ^s.Fold() }

// UDPChecksum is Checksum with 0 replaced by 0xffff, its other form in one's complement: in a UDP header 0 means that
// there is no checksum (RFC 768, RFC 8200 section 8.1).
func (s Sum) UDPChecksum() uint16 { return nonZero(s.Checksum()) }

// State is the sum as one number, for a place that can't name the type; RestoreSum gives it back. The number 0 is the
// empty sum. Its inside is not part of the contract.
func (s Sum) State() uint64 {
	v := (s.acc + bits.RotateLeft64(s.acc, 32)) >> 32
	return v | uint64(s.turn)<<32
}

// RestoreSum is the Sum whose State was taken.
func RestoreSum(state uint64) Sum {
	return Sum{acc: state & 0xffffffff, turn: uint8(state>>32) & 8}
}

// Checksum is the Internet checksum of b, an odd last octet padded with a zero one (RFC 1071 section 1).
func Checksum(b []byte) uint16 { return Sum{acc: sumBytes(b)}.Checksum() }

// PseudoHeaderSum is the sum of the pseudo-header that UDP adds to its checksum: addresses, protocol and the length of
// UDP header and data (RFC 768; RFC 8200 section 8.1). Both addresses are of the same family after unmapping; length
// is at most 65535.
func PseudoHeaderSum(src, dst netip.Addr, protocol uint8, length int) Sum {
	var s Sum
	if src, dst = src.Unmap(), dst.Unmap(); src.Is4() && dst.Is4() {
		a, b := src.As4(), dst.As4()
		s.acc = uint64(binary.LittleEndian.Uint32(a[:])) + uint64(binary.LittleEndian.Uint32(b[:]))
	} else {
		a, b := src.As16(), dst.As16()
		s.acc = add1s(sumBytes(a[:]), sumBytes(b[:]))
	}
	s.AddUint16(uint16(protocol))
	s.AddUint16(uint16(length))
	return s
}

// UpdateChecksum is the checksum after one 16-bit word under it has changed from old to new: HC' = ~(~HC + ~m + m')
// of RFC 1624 section 3, which has no trouble with zero as RFC 1141 had. In a UDP header, leave a field of 0 as it is
// (there is no checksum to update) and replace a result of 0 by 0xffff.
func UpdateChecksum(checksum, old, new uint16) uint16 {
	return ^fold32(uint32(^checksum) + uint32(^old) + uint32(new))
}

// fold32 adds the halves of a sum of big-endian words with an end-around carry.
func fold32(v uint32) uint16 {
	return uint16((v + bits.RotateLeft32(v, 16)) >> 16)
}

func nonZero(checksum uint16) uint16 {
	if checksum == 0 {
		return 0xffff
	}
	return checksum
}

// add1s is one's complement addition.
func add1s(a, b uint64) uint64 {
	s, carry := bits.Add64(a, b, 0)
	return s + carry
}
