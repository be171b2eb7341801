// SPDX-License-Identifier: Apache-2.0

// Package quota bounds what the sessions of one grant use together, and what one user may try.
package quota

import "time"

// Bucket is a token bucket that may go into debt: who finds a token gets all that he asks for, and the next one waits
// for as long as that takes to pay. The zero value, and a rate of 0, is no bound. It is for one goroutine at a time.
type Bucket struct {
	rate   float64 // tokens a second
	burst  float64
	tokens float64
	at     time.Time
}

// Set changes the bound. What has been saved up or is owed stays, within the new bound.
func (b *Bucket) Set(rate uint64, burst int, now time.Time) {
	if b.at.IsZero() || b.rate == 0 {
		b.tokens, b.at = float64(burst), now
	}
	b.fill(now)
	b.rate, b.burst = float64(rate), float64(burst)
	b.tokens = min(b.tokens, b.burst)
}

func (b *Bucket) fill(now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.tokens = min(b.tokens+d.Seconds()*b.rate, b.burst)
		b.at = now
	}
}

// Wait is how long it takes until there is a token: 0 if there is one.
func (b *Bucket) Wait(now time.Time) time.Duration {
	if b.rate == 0 {
		return 0
	}
	b.fill(now)
	if b.tokens > 0 {
		return 0
	}
	return time.Duration(-b.tokens/b.rate*float64(time.Second)) + time.Microsecond
}

// Has reports whether there is a token now, without looking at the clock again.
func (b *Bucket) Has() bool { return b.rate == 0 || b.tokens > 0 }

// Take takes n tokens, into debt if need be.
func (b *Bucket) Take(n int) {
	if b.rate != 0 {
		b.tokens -= float64(n)
	}
}
