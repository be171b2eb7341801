// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"math"
	"math/big"
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

// Step is a rate for a time.
type Step struct {
	Rate   Rate
	Length time.Duration
}

// Mean is the rate over all steps.
func Mean(steps []Step) Rate {
	parts, all := new(big.Int), new(big.Int)
	for _, s := range steps {
		length := big.NewInt(int64(s.Length))
		all.Add(all, length)
		parts.Add(parts, length.Mul(length, new(big.Int).SetUint64(uint64(s.Rate))))
	}
	if all.Sign() == 0 {
		return 0
	}
	return max(Rate(parts.Div(parts, all).Uint64()), 1) // 0 would be no limit
}

// Pacer is a token bucket in pure arithmetic: it knows no clock, only times since the start. Tokens fall due at
// k/rate seconds; a sender that comes late gets those that have piled up, but at most a bucket full: the others are
// forfeited and counted, so that a pause is not followed by a flood. With several steps each has a rate of its own for its
// time, and with bursts tokens fall due so many at once, the last of them at its time.
type Pacer struct {
	now   step
	later []step
	burst uint64 // 0 or 1: each token by itself
	// total and count end the last burst early: all tokens that there will be, and those that will be taken; 0 is no end.
	total, count uint64

	taken, forfeited uint64
}

// step is a time with a rate.
type step struct {
	rate   uint64        // millionths of a token a second, 0: no limit
	bucket uint64        // tokens that may pile up
	start  time.Duration // since the start of the run
	before uint64        // tokens that have fallen due by then
}

// second is one, in the parts that a rate times nanoseconds comes to.
const second = uint64(time.Second) * perDatagram

// NewPacer makes a pacer. bucket is the number of tokens that may pile up, at least 1.
func NewPacer(rate Rate, bucket uint64) Pacer {
	return Pacer{now: step{rate: uint64(rate), bucket: max(bucket, 1)}}
}

func saturated(a, b uint64) uint64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxUint64
}

// due is the number of tokens that have fallen due by then, since the start.
func (p *Pacer) due(elapsed time.Duration) uint64 {
	for len(p.later) > 0 && elapsed >= p.later[0].start {
		p.now, p.later = p.later[0], p.later[1:]
	}
	if elapsed <= p.now.start {
		return p.whole(p.now.before)
	}
	hi, lo := bits.Mul64(p.now.rate, uint64(elapsed-p.now.start))
	if hi >= second {
		return math.MaxUint64
	}
	n, _ := bits.Div64(hi, lo, second)
	return p.whole(saturated(p.now.before, n))
}

// whole is n tokens without those that wait for the rest of their burst.
func (p *Pacer) whole(n uint64) uint64 {
	if p.burst <= 1 {
		return n
	}
	whole := n - n%p.burst
	if end := p.end(); end > whole && end <= n {
		return end
	}
	return whole
}

// end is the last token that is of use, 0 where there is none.
func (p *Pacer) end() uint64 {
	end := p.total
	if n := saturated(p.count, p.forfeited); p.count > 0 && (end == 0 || n < end) {
		end = n
	}
	return end
}

// Due is how many datagrams fall due in a time at a rate.
func Due(rate Rate, d time.Duration) uint64 {
	p := NewPacer(rate, 1)
	return p.due(d)
}

// Take takes up to want tokens.
func (p *Pacer) Take(elapsed time.Duration, want uint64) uint64 {
	if p.now.rate == 0 {
		return want
	}
	ready := p.due(elapsed)
	if ready <= p.taken+p.forfeited { // also where a thread was held up between the clock and here
		return 0
	}
	ready -= p.taken + p.forfeited
	if ready > p.now.bucket {
		p.forfeited += ready - p.now.bucket
		ready = p.now.bucket
	}
	n := min(ready, want)
	p.taken += n
	return n
}

// End forfeits what has fallen due and was not taken: nothing more will be.
func (p *Pacer) End(elapsed time.Duration) {
	if p.now.rate > 0 {
		p.forfeited = max(p.due(elapsed), p.taken) - p.taken
	}
}

// Wait is how long it is until n more tokens are there, 0 if they are.
func (p *Pacer) Wait(elapsed time.Duration, n uint64) time.Duration {
	if p.now.rate == 0 {
		return 0
	}
	return max(p.at(p.taken+p.forfeited+n)-elapsed, 0)
}

// Late is how long the first token that is taken next has been due.
func (p *Pacer) Late(elapsed time.Duration) time.Duration {
	return max(elapsed-p.at(p.taken+p.forfeited+1), 0)
}

// at is when the k-th token falls due: at ceil(k·second/rate) in its step, together with its burst. One of a step that is over counts from
// the beginning of the present one.
func (p *Pacer) at(k uint64) time.Duration {
	if p.burst > 1 {
		whole := saturated(k, p.burst-1)
		whole -= whole % p.burst
		if end := p.end(); end >= k && end < whole {
			whole = end
		}
		k = whole
	}
	s := p.now
	for _, next := range p.later {
		if k > next.before {
			s = next
		}
	}
	if k <= s.before {
		return s.start
	}
	hi, lo := bits.Mul64(k-s.before, second)
	if hi >= s.rate {
		return math.MaxInt64
	}
	at, rest := bits.Div64(hi, lo, s.rate)
	if rest > 0 {
		at++
	}
	if at > math.MaxInt64-uint64(s.start) {
		return math.MaxInt64
	}
	return s.start + time.Duration(at)
}

// Forfeited is the number of tokens that were not taken in time.
func (p *Pacer) Forfeited() uint64 { return p.forfeited }
