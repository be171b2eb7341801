// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"encoding/binary"
	"net/netip"
)

// The addresses are made of numbers of so many bits, each with a prefix of its own.
const numberBits = 20

// number is that of destination or route i: neighbours in the order are far from each other in the table. Each comes once.
func number(i int) uint32 { return uint32(i) * 0x9e3779b1 & (1<<numberBits - 1) }

// prefix is that of route i, and destination i is in it: a /29 of 10.128.0.0/9 or a /48 of fd20::/16.
func prefix(version, i int) netip.Prefix {
	if version == 4 {
		return netip.PrefixFrom(destination(version, i), 29).Masked()
	}
	return netip.PrefixFrom(destination(version, i), 48).Masked()
}

// destination is address number i of those that are sent to.
func destination(version, i int) netip.Addr {
	if version == 4 {
		var b [4]byte
		putDestination4(b[:], i)
		return netip.AddrFrom4(b)
	}
	b := [16]byte{0xfd, 0x20, 15: 1}
	putDestination6(b[:], i)
	return netip.AddrFrom16(b)
}

func putDestination4(b []byte, i int) { binary.BigEndian.PutUint32(b, 10<<24|1<<23|number(i)<<3|1) }

// putDestination6 leaves what all have in common.
func putDestination6(b []byte, i int) { binary.BigEndian.PutUint32(b[2:], number(i)) }

// dice are numbers at random, the same every time.
type dice struct{ state uint64 }

func newDice() dice { return dice{0x9e3779b97f4a7c15} }

// below is one that is less than n (xorshift64*, and the upper half of a product).
func (d *dice) below(n int) int {
	d.state ^= d.state >> 12
	d.state ^= d.state << 25
	d.state ^= d.state >> 27
	return int(d.state * 0x2545f4914f6cdd1d >> 32 * uint64(n) >> 32)
}
