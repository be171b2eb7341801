// SPDX-License-Identifier: Apache-2.0

// Package stats puts the runs of a measurement in order, and what they gave together.
package stats

import (
	"math"
	"slices"
)

// Median of values, 0 of none. It does not change its argument.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// Spread is the middle and the ends of several values.
type Spread struct{ Median, Min, Max float64 }

// SpreadOf several values; zeros of none.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	return Spread{Median(values), slices.Min(values), slices.Max(values)}
}

// Rate is packets per second over the runs, as reports have it. They embed it.
type Rate struct {
	PPSMedian uint64 `json:"pps_median"`
	PPSMin    uint64 `json:"pps_min"`
	PPSMax    uint64 `json:"pps_max"`
}

// RateOf the packets per second of several runs.
func RateOf(pps []float64) Rate {
	s := SpreadOf(pps)
	return Rate{uint64(s.Median + 0.5), uint64(s.Min + 0.5), uint64(s.Max + 0.5)}
}

// Round rounds to so many digits behind the point.
func Round(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}

// Order is the order in which n contestants run in a round: every other round goes in reverse.
func Order(n, round int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	if round%2 == 1 {
		slices.Reverse(out)
	}
	return out
}
