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

// Pacer is a token bucket in pure arithmetic: it knows no clock, only times since the start. Tokens fall due at
// k/rate seconds; a sender that comes late gets those that have piled up, but at most a bucket full: the others are
// forfeited and counted, so that a pause is not followed by a flood.
type Pacer struct {
	rate   uint64 // millionths of a token a second, 0: no limit
	bucket uint64

	taken, forfeited uint64
}

// second is one, in the parts that a rate times nanoseconds comes to.
const second = uint64(time.Second) * perDatagram

// NewPacer makes a pacer. bucket is the number of tokens that may pile up, at least 1.
func NewPacer(rate Rate, bucket uint64) Pacer {
	return Pacer{rate: uint64(rate), bucket: max(bucket, 1)}
}

// due is the number of tokens that have fallen due by then, since the start.
func (p *Pacer) due(elapsed time.Duration) uint64 {
	if elapsed <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(p.rate, uint64(elapsed))
	if hi >= second {
		return math.MaxUint64
	}
	n, _ := bits.Div64(hi, lo, second)
	return n
}

// Due is how many datagrams fall due in a time at a rate.
func Due(rate Rate, d time.Duration) uint64 {
	p := NewPacer(rate, 1)
	return p.due(d)
}

// Take takes up to want tokens.
func (p *Pacer) Take(elapsed time.Duration, want uint64) uint64 {
	if p.rate == 0 {
		return want
	}
	ready := p.due(elapsed) - p.taken - p.forfeited
	if ready > p.bucket {
		p.forfeited += ready - p.bucket
		ready = p.bucket
	}
	n := min(ready, want)
	p.taken += n
	return n
}

// End forfeits what has fallen due and was not taken: nothing more will be.
func (p *Pacer) End(elapsed time.Duration) {
	if p.rate > 0 {
		p.forfeited = p.due(elapsed) - p.taken
	}
}

// Wait is how long it is until n more tokens are there, 0 if they are.
func (p *Pacer) Wait(elapsed time.Duration, n uint64) time.Duration {
	if p.rate == 0 {
		return 0
	}
	// The k-th token falls due at ceil(k·second/rate).
	hi, lo := bits.Mul64(p.taken+p.forfeited+n, second)
	if hi >= p.rate {
		return math.MaxInt64
	}
	at, rest := bits.Div64(hi, lo, p.rate)
	if rest > 0 {
		at++
	}
	if at > math.MaxInt64 {
		return math.MaxInt64
	}
	return max(time.Duration(at)-elapsed, 0)
}

// Forfeited is the number of tokens that were not taken in time.
func (p *Pacer) Forfeited() uint64 { return p.forfeited }
