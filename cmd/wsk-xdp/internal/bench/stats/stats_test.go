// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		in   []float64
		want float64
	}{
		{nil, 0}, {[]float64{7}, 7}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}, {[]float64{100, 1, 2, 3, 4}, 3},
	} {
		before := slices.Clone(tc.in)
		if got := Median(tc.in); got != tc.want {
			t.Errorf("Median(%v) = %v, want %v", before, got, tc.want)
		}
		if !slices.Equal(tc.in, before) {
			t.Errorf("median changed its argument %v to %v", before, tc.in)
		}
	}
}

func TestOrderIsReversedEveryOtherRound(t *testing.T) {
	for round, want := range [][]int{{0, 1, 2}, {2, 1, 0}, {0, 1, 2}} {
		if got := Order(3, round); !slices.Equal(got, want) {
			t.Errorf("round %d: %v, want %v", round, got, want)
		}
	}
}
