// SPDX-License-Identifier: Apache-2.0

// Package flows says which source, address and port belong to flow number n of a run: a pure function of the ranges, of
// n and of a seed, so that a run can be repeated and no list be kept.
package flows

import (
	"math/bits"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Space is all the flows that there can be: every address with every port, from every source.
type Space struct {
	Addresses units.Addresses
	Ports     units.Ports
	// Sources is how many sources there are, at least 1.
	Sources uint64
	// Seed 0 numbers flows in the order of addresses, then ports, then sources; any other mixes them up, no two alike.
	Seed uint64
}

// Flow is one of them.
type Flow struct {
	To     netip.AddrPort
	Source uint64 // its number, below Sources
}

// Most is what Len saturates at.
const Most = 1 << 62

// Len is how many flows there are, most if more than that.
func (s *Space) Len() uint64 { return times(times(s.Addresses.Len(), s.Ports.Len()), s.Sources) }

func times(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi > 0 || lo > Most {
		return Most
	}
	return lo
}

// At is flow number n, which is below Len.
func (s *Space) At(n uint64) Flow {
	if s.Seed != 0 {
		n = s.Line().At(n)
	}
	addresses, ports := min(s.Addresses.Len(), Most), s.Ports.Len()
	address := s.Addresses.At(n % addresses)
	n /= addresses
	return Flow{To: netip.AddrPortFrom(address, s.Ports.At(n%ports)), Source: n / ports % s.Sources}
}

// Line is how flows are mixed up: flow n has place n·Step + First modulo Size among all. Step has no divisor in common with
// Size, so that the numbers below Size are mapped to each other one to one.
type Line struct{ Step, First, Size uint64 }

// Line is that of the space.
func (s *Space) Line() Line {
	size := s.Len()
	if s.Seed == 0 {
		return Line{1 % max(size, 1), 0, size}
	}
	a := mix(s.Seed)%size | 1
	for gcd(a, size) != 1 {
		a += 2 // a prime is never far
	}
	return Line{a % size, mix(s.Seed+1) % size, size}
}

// At is the place of flow number n, which is below Size.
func (l Line) At(n uint64) uint64 {
	hi, lo := bits.Mul64(n%l.Size, l.Step)
	_, rest := bits.Div64(hi%l.Size, lo, l.Size)
	sum, carry := bits.Add64(rest, l.First, 0)
	_, out := bits.Div64(carry, sum, l.Size)
	return out
}

func gcd(a, b uint64) uint64 {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// Draw is which of n flows, of which there are less than 2²⁴, packet number k is of when flows are taken at random: a pure
// function of k and the seed, too. An XDP program computes it as well.
func Draw(seed, k, n uint64) uint64 { return (mix(seed+k*golden) >> 24) * n >> 40 }

const golden = 0x9e3779b97f4a7c15

// mix is the finaliser of splitmix64: neighbouring seeds become numbers that have nothing in common.
func mix(z uint64) uint64 {
	z += golden
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
