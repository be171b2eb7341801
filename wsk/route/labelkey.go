// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

const flowLabelMask = 0xfffff

// labelKey is what makes labels unlike those of other tables, and hard to foretell (RFC 6437 section 3).
type labelKey [5]uint64

func newLabelKey() (k labelKey) {
	for i := range k {
		k[i] = rand.Uint64() // of the runtime's generator, which the system has seeded
	}
	return k
}

// source is what a source adds to labels. Here and in label products are folded, as wyhash does.
func (k *labelKey) source(a [16]byte, port uint16) uint64 {
	return fold(binary.BigEndian.Uint64(a[:8])^k[0], binary.BigEndian.Uint64(a[8:])^k[1]) ^ uint64(port)<<16
}

func (k *labelKey) label(from uint64, dst *[16]byte, port uint16) uint32 {
	to := fold(binary.BigEndian.Uint64(dst[:8])^k[2], binary.BigEndian.Uint64(dst[8:])^k[3])
	return uint32(fold(from^uint64(port), to^k[4])) & flowLabelMask
}

func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}
