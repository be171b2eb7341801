// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"math"
	"math/bits"
	"time"
)

// Rate is datagrams a second, in millionths of one. 0 is no limit.
type Rate uint64

// perDatagram is how many parts of a Rate are one datagram a second.
const perDatagram = 1_000_000

// PPS is a rate of whole datagrams a second.
func PPS(n uint64) Rate { return Rate(n * perDatagram) }

// PerSecond is the rate in datagrams a second.
func (r Rate) PerSecond() float64 { return float64(r) / perDatagram }

// Whole is the rate in whole datagrams a second, rounded down.
func (r Rate) Whole() uint64 { return uint64(r) / perDatagram }

// Due is how many datagrams fall due in a time at a rate.
func Due(rate Rate, d time.Duration) uint64 {
	return tokens(uint64(rate), d)
}

// second is one, in the parts that a rate times nanoseconds comes to.
const second = uint64(time.Second) * perDatagram

// tokens is how many fall due in a time at a rate.
func tokens(rate uint64, d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(rate, uint64(d))
	if hi >= second {
		return math.MaxUint64
	}
	n, _ := bits.Div64(hi, lo, second)
	return n
}

// span is the time in which n tokens fall due at a rate, rounded up.
func span(rate, n uint64) time.Duration {
	hi, lo := bits.Mul64(n, second)
	if hi >= rate {
		return math.MaxInt64
	}
	at, rest := bits.Div64(hi, lo, rate)
	if rest > 0 {
		at++
	}
	return time.Duration(min(at, math.MaxInt64))
}

// later is the sum of two times, the latest that there is at most.
func later(at, d time.Duration) time.Duration {
	return at + min(d, math.MaxInt64-at)
}

// saturated is the sum of two numbers, the largest that there is at most.
func saturated(a, b uint64) uint64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxUint64
}
