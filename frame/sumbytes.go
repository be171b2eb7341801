// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"encoding/binary"
	"math/bits"
)

// copyBlock is how much is copied before it is summed. Copying with the run-time's memmove and summing what has just
// arrived in the first-level cache is faster than one loop that does both by words: 1472 octets in 46 ns against 68 ns
// (Go 1.26, EPYC VM). The block is well below the 32 KiB of such a cache, with room for the source.
const copyBlock = 8 << 10

// copySumBytes copies src to dst and returns sumBytes(dst). Precondition: equal lengths.
func copySumBytes(dst, src []byte) uint64 {
	if len(src) < 64 {
		return copySumWords(dst, src)
	}
	if len(src) <= copyBlock {
		copy(dst, src)
		return sumBytes(dst)
	}
	var sum uint64
	for len(src) > copyBlock {
		copy(dst[:copyBlock], src)
		sum = add1s(sum, sumBytes(dst[:copyBlock]))
		dst, src = dst[copyBlock:], src[copyBlock:]
	}
	copy(dst, src)
	return add1s(sum, sumBytes(dst))
}

// copySumWords is copySumBytes for few octets, where reading back what memmove has just stored with other widths would
// stall on the store buffer (18 octets: 11 ns against 6). Each octet is read once, into a word that is both stored
// and summed, so that here too the sum is that of what arrived.
func copySumWords(dst, src []byte) uint64 {
	var s, c uint64
	for len(src) >= 8 && len(dst) >= 8 {
		w := binary.LittleEndian.Uint64(src)
		binary.LittleEndian.PutUint64(dst, w)
		s, c = bits.Add64(s, w, 0)
		s += c
		src, dst = src[8:], dst[8:]
	}
	var last uint64
	shift := 0
	if len(src) >= 4 && len(dst) >= 4 {
		w := binary.LittleEndian.Uint32(src)
		binary.LittleEndian.PutUint32(dst, w)
		last, shift = uint64(w), 32
		src, dst = src[4:], dst[4:]
	}
	if len(src) >= 2 && len(dst) >= 2 {
		w := binary.LittleEndian.Uint16(src)
		binary.LittleEndian.PutUint16(dst, w)
		last |= uint64(w) << shift
		shift += 16
		src, dst = src[2:], dst[2:]
	}
	if len(src) >= 1 && len(dst) >= 1 {
		w := src[0]
		dst[0] = w
		last |= uint64(w) << shift
	}
	return add1s(s, last)
}

// sumBytes is the 64-bit one's complement sum of b as little-endian words, the last one filled up with zeros.
func sumBytes(b []byte) uint64 {
	var s uint64
	if len(b) < 8 {
		return lastWord(b)
	}
	if len(b) >= 64 {
		s, b = sumBlocks(b)
	}
	var c uint64
	for len(b) >= 16 {
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b), 0)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[8:]), c)
		s += c
		b = b[16:]
	}
	if len(b) >= 8 {
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b), 0)
		s += c
		b = b[8:]
	}
	return add1s(s, lastWord(b))
}

// sumBlocks sums whole blocks of 64 octets and returns the rest.
//
// Each block is a chain of additions in which a carry goes into the next addition; the chain's last carry is added at
// its end. That cannot overflow: after an addition that carries, the sum is at most 2^64 - 2. Two accumulators take
// blocks in turn, so that the processor can run two chains at once.
func sumBlocks(b []byte) (uint64, []byte) {
	var s0, s1, c uint64
	for len(b) >= 128 {
		p := (*[128]byte)(b)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[0:]), 0)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[8:]), c)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[16:]), c)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[24:]), c)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[32:]), c)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[40:]), c)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[48:]), c)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[56:]), c)
		s0 += c
		s1, c = bits.Add64(s1, binary.LittleEndian.Uint64(p[64:]), 0)
		s1, c = bits.Add64(s1, binary.LittleEndian.Uint64(p[72:]), c)
		s1, c = bits.Add64(s1, binary.LittleEndian.Uint64(p[80:]), c)
		s1, c = bits.Add64(s1, binary.LittleEndian.Uint64(p[88:]), c)
		s1, c = bits.Add64(s1, binary.LittleEndian.Uint64(p[96:]), c)
		s1, c = bits.Add64(s1, binary.LittleEndian.Uint64(p[104:]), c)
		s1, c = bits.Add64(s1, binary.LittleEndian.Uint64(p[112:]), c)
		s1, c = bits.Add64(s1, binary.LittleEndian.Uint64(p[120:]), c)
		s1 += c
		b = b[128:]
	}
	if len(b) >= 64 {
		p := (*[64]byte)(b)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[0:]), 0)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[8:]), c)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[16:]), c)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[24:]), c)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[32:]), c)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[40:]), c)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[48:]), c)
		s0, c = bits.Add64(s0, binary.LittleEndian.Uint64(p[56:]), c)
		s0 += c
		b = b[64:]
	}
	return add1s(s0, s1), b
}

// lastWord is the little-endian word of at most 7 octets. It reads overlapping pieces, where a loop over single octets
// would be mispredicted for every other length.
func lastWord(b []byte) uint64 {
	n := uint(len(b))
	switch {
	case n >= 4:
		high := uint64(binary.LittleEndian.Uint32(b[n-4:])) >> (8 * (8 - n)) // drop what is in low too
		return uint64(binary.LittleEndian.Uint32(b)) | high<<32
	case n > 0:
		// One, two or three octets: first, middle and last, some of them the same one.
		return uint64(b[0]) | uint64(b[n/2])<<(8*(n/2)) | uint64(b[n-1])<<(8*(n-1))
	}
	return 0
}
