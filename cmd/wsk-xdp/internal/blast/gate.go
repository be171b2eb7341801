// SPDX-License-Identifier: Apache-2.0

package blast

import "time"

// makeUp is the longest pause that is made up for. Longer ones are no stumble of a processor but an outage, and what a run asked for in that
// time is told as forfeited.
const makeUp = 100 * time.Millisecond

// gate lets what has piled up in a pause leave at no more than twice the rate, but for a bucket full at its beginning.
type gate struct {
	rate, bucket uint64
	shut         bool          // more has piled up than leaves at once
	open         uint64        // tokens that may pass, while it is shut
	at           time.Duration // until when they are counted
}

// suit makes it wide enough for a step.
func (g *gate) suit(rate, bucket uint64) {
	g.rate, g.bucket = max(g.rate, saturated(rate, rate)), max(g.bucket, bucket)
}

// free is how many tokens may be taken; those of a burst pass together.
func (g *gate) free(elapsed time.Duration, burst uint64) uint64 {
	if !g.shut {
		g.shut, g.open, g.at = true, inBursts(g.bucket, burst), elapsed
	} else if more := inBursts(tokens(g.rate, elapsed-g.at), burst); more > 0 {
		g.at = later(g.at, span(g.rate, more))
		g.open = saturated(g.open, more)
		if most := inBursts(g.bucket, burst); g.open > most {
			g.open, g.at = most, elapsed
		}
	}
	return g.open
}

// pass takes n of those that are free.
func (g *gate) pass(n uint64) {
	if g.shut {
		g.open -= n
	}
}

// opens is when n tokens may pass.
func (g *gate) opens(n, burst uint64) time.Duration {
	if n <= g.open {
		return g.at
	}
	n -= g.open
	if burst > 1 {
		n = inBursts(saturated(n, burst-1), burst)
	}
	return later(g.at, span(g.rate, n))
}

// inBursts is n tokens without those that are no whole burst.
func inBursts(n, burst uint64) uint64 {
	if burst > 1 {
		n -= n % burst
	}
	return n
}
