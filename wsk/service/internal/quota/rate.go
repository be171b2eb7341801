// SPDX-License-Identifier: Apache-2.0

package quota

import "time"

// A Turn is the right to take from the rate of a grant, for one goroutine until End. One that has no bound costs
// nothing.
type Turn struct{ g *Grant }

// BeginTurn begins one. While it lasts others who want one wait.
func (g *Grant) BeginTurn() Turn {
	l := g.Limits()
	if l.Rate == 0 && l.Bits == 0 {
		return Turn{}
	}
	now := time.Now()
	g.mu.Lock()
	g.rate.Wait(now) // fills them
	g.bits.Wait(now)
	return Turn{g}
}

// Bounds reports whether the grant has a rate at all: else Take need not be asked.
func (t *Turn) Bounds() bool { return t.g != nil }

// Take takes a datagram of so many frames and bits from the rate, if anything is left of it.
func (t *Turn) Take(frames, bits int) bool {
	if t.g == nil {
		return true
	}
	if !t.g.rate.Has() || !t.g.bits.Has() {
		return false
	}
	t.g.rate.Take(frames)
	t.g.bits.Take(bits)
	return true
}

// End ends the turn and answers how long it takes until Take can succeed again.
func (t *Turn) End() time.Duration {
	if t.g == nil {
		return 0
	}
	now := time.Now()
	wait := max(t.g.rate.Wait(now), t.g.bits.Wait(now))
	t.g.mu.Unlock()
	return wait
}
