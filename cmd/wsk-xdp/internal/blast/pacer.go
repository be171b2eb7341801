// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"math/big"
	"time"
)

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
// k/rate seconds; a sender that comes late gets those that have piled up: a bucket full at once, and what else a pause of up to makeUp has cost at
// no more than twice the rate, so that a pause is not followed by a flood. The others are forfeited and counted. With several steps each has
// a rate of its own for its time, and with bursts tokens fall due so many at once, the last of them at its time.
type Pacer struct {
	now   step
	past  []step // those that are over
	later []step
	burst uint64 // 0 or 1: each token by itself
	// total and count are all tokens that there will be, and those that will be taken, which ends the last burst early; 0 is no end.
	total, count uint64
	until        time.Duration // when the last token falls due, 0: never

	gate gate

	taken, forfeited uint64
	longest          uint64 // the most tokens that might be taken at one time
}

// step is a time with a rate.
type step struct {
	rate   uint64        // millionths of a token a second, 0: no limit
	bucket uint64        // tokens that may be taken at once after a pause
	start  time.Duration // since the start of the run
	before uint64        // tokens that have fallen due by then
}

// NewPacer makes a pacer. bucket is the number of tokens that may be taken at once after a pause, at least 1.
func NewPacer(rate Rate, bucket uint64) Pacer {
	p := Pacer{now: step{rate: uint64(rate), bucket: max(bucket, 1)}}
	p.gate.suit(p.now.rate, p.now.bucket)
	return p
}

// advance goes on to the step of that time. What the one before has left over may still be taken, as its own pauses would have been made up for.
func (p *Pacer) advance(elapsed time.Duration) {
	for len(p.later) > 0 && elapsed >= p.later[0].start {
		p.now, p.past, p.later = p.later[0], p.past[:len(p.past)+1], p.later[1:]
		if p.now.before <= p.taken+p.forfeited { // nothing is left over
			p.gate = gate{}
		}
		p.gate.suit(p.now.rate, p.now.bucket)
	}
}

// due is the number of tokens that have fallen due by then, since the start.
func (p *Pacer) due(elapsed time.Duration) uint64 {
	p.advance(elapsed)
	return p.fallen(p.inTime(elapsed))
}

// inTime is a time within the run.
func (p *Pacer) inTime(elapsed time.Duration) time.Duration {
	if p.until > 0 {
		return min(elapsed, p.until)
	}
	return elapsed
}

// fallen is due for a time that may be in a step that is over.
func (p *Pacer) fallen(elapsed time.Duration) uint64 {
	s := p.now
	for i := len(p.past) - 1; i >= 0 && elapsed < s.start; i-- {
		s = p.past[i]
	}
	return p.whole(saturated(s.before, tokens(s.rate, elapsed-s.start)))
}

// most is how many of the tokens that are due by then may still be taken: those of the last makeUp, whatever the steps were, or a bucket.
func (p *Pacer) most(elapsed time.Duration, due uint64) uint64 {
	return max(inBursts(p.now.bucket, p.burst), due-p.fallen(p.inTime(elapsed)-makeUp))
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

// Take takes up to want tokens.
func (p *Pacer) Take(elapsed time.Duration, want uint64) uint64 {
	if p.now.rate == 0 {
		return want
	}
	due := p.due(elapsed)
	if due <= p.taken+p.forfeited { // also where a thread was held up between the clock and here
		return 0
	}
	ready := due - (p.taken + p.forfeited)
	if ready > p.now.bucket {
		if most := p.most(elapsed, due); ready > most {
			p.forfeited += ready - most
			ready = most
		}
	}
	free := ready
	if p.gate.shut || ready > p.gate.bucket {
		free = min(free, p.gate.free(elapsed, p.burst))
	}
	together := free
	if p.count > 0 {
		together = min(together, max(p.count, p.taken)-p.taken)
	}
	p.longest = max(p.longest, together)
	n := min(free, want)
	p.gate.pass(n)
	if p.taken += n; n == ready { // and nothing of the steps before is left over
		p.gate = gate{}
		p.gate.suit(p.now.rate, p.now.bucket)
	}
	return n
}

// Over is whether nothing more is taken in a run of limited time. Where nothing was forfeited, what a pause shortly before its end has cost is
// still taken after it.
func (p *Pacer) Over(elapsed time.Duration) bool {
	return p.until > 0 && elapsed >= p.until &&
		(p.now.rate == 0 || p.forfeited > 0 || elapsed >= p.until+makeUp || p.due(elapsed) <= p.taken)
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
	at := p.at(p.taken + p.forfeited + n)
	if p.gate.shut {
		at = max(at, p.gate.opens(n, p.burst))
	}
	return max(at-elapsed, 0)
}

// at is when the k-th token falls due: at ceil(k·second/rate) in its step, together with its burst.
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
	for i := len(p.past) - 1; i >= 0 && k <= s.before; i-- {
		s = p.past[i]
	}
	if k <= s.before {
		return s.start
	}
	return later(s.start, span(s.rate, k-s.before))
}

// Longest is the most tokens that might be taken at one time, and so left one behind the other. It is no more than Bucket.
func (p *Pacer) Longest() uint64 { return p.longest }

// Bucket is the most tokens that may be taken at once, in any step.
func (p *Pacer) Bucket() uint64 {
	most := p.now.bucket
	for _, other := range [][]step{p.past, p.later} {
		for _, s := range other {
			most = max(most, s.bucket)
		}
	}
	return most
}

// Forfeited is the number of tokens that were not taken in time.
func (p *Pacer) Forfeited() uint64 { return p.forfeited }
