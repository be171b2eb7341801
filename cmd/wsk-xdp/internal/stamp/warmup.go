// SPDX-License-Identifier: Apache-2.0

package stamp

import "encoding/binary"

// What is sent before a run, to warm up what is on the way, has a magic of its own: it is of no run, bears no number, and whoever counts
// numbers leaves it alone.
const warmupMagic = 0xD7A8

// PutWarmup writes the stamp of a packet before run into the first Size bytes of b.
func PutWarmup(b []byte, run uint16) {
	Stamp{Run: run}.Put(b)
	binary.BigEndian.PutUint16(b, warmupMagic)
}

// IsWarmup is whether b begins with such a stamp.
func IsWarmup(b []byte) bool { return begins(b, warmupMagic) }
