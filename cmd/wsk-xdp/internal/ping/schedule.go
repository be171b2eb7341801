// SPDX-License-Identifier: Apache-2.0

package ping

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
)

// Schedule says when pings are due: number n at n/Rate from the start, so that nothing adds up.
type Schedule struct {
	Rate blast.Rate // above 0
	// Count and Duration end it, whichever comes first; 0 is no limit.
	Count    uint64
	Duration time.Duration
}

// At is when a ping is due.
func (s Schedule) At(number uint64) time.Duration {
	if number == 0 {
		return 0
	}
	p := blast.NewPacer(s.Rate, 1)
	return p.Wait(0, number)
}

// Due is how many are due until a time, that moment included.
func (s Schedule) Due(elapsed time.Duration) uint64 {
	n := blast.Due(s.Rate, elapsed) + 1
	if total := s.Total(); total > 0 {
		n = min(n, total)
	}
	return n
}

// within is how many are due before the end of the duration.
func (s Schedule) within() uint64 {
	n := blast.Due(s.Rate, s.Duration)
	if s.At(n) < s.Duration {
		n++
	}
	return n
}

// Total is how many pings there are, 0 where nothing ends them.
func (s Schedule) Total() uint64 {
	switch {
	case s.Duration == 0:
		return s.Count
	case s.Count == 0:
		return s.within()
	}
	return min(s.Count, s.within())
}

// End is when nothing more is due, 0 where that is never.
func (s Schedule) End() time.Duration {
	if n := s.Total(); n > 0 {
		return s.At(n - 1)
	}
	return 0
}
