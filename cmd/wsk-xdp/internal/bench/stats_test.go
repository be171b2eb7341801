// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"slices"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/stats"
)

// withRates is a contestant with runs of these rates, 0 for a run that failed.
func withRates(name string, rates ...float64) *contestant {
	who := &contestant{name: name}
	for _, pps := range rates {
		if pps == 0 {
			who.runs = append(who.runs, nil)
			continue
		}
		who.runs = append(who.runs, &measured{pps: pps, cpuNs: 1e9 / pps / 2, syscalls: -1})
	}
	return who
}

// The machine halves its speed in the second round: medians of rates would say 1.5, the rounds say 2 throughout.
func TestRatiosArePairs(t *testing.T) {
	a, b := withRates("a", 200, 100, 200), withRates("b", 100, 50, 100)
	if got := a.runs.Ratios(b.runs, rate); !slices.Equal(got, []float64{2, 2, 2}) {
		t.Errorf("ratios %v", got)
	}
	c := withRates("c", 0, 50, 100)
	if got := a.runs.Ratios(c.runs, rate); !slices.Equal(got, []float64{2, 2}) {
		t.Errorf("ratios with a failed run: %v", got)
	}
	// A round that did not take place for one of them.
	if got := a.runs.Ratios(withRates("d", 50).runs, rate); !slices.Equal(got, []float64{4}) {
		t.Errorf("ratios with missing runs: %v", got)
	}
	if got := a.runs.Ratios(b.runs, thrift); !slices.Equal(got, []float64{2, 2, 2}) {
		t.Errorf("ratios of packets per CPU time: %v", got)
	}
	s := stats.SpreadOf([]float64{3, 1, 2})
	if s != (stats.Spread{Median: 2, Min: 1, Max: 3}) {
		t.Errorf("spread %v", s)
	}
}

// All engines take destinations in one order: whole runs, one destination after the other.
func TestRotor(t *testing.T) {
	for _, tc := range []struct {
		targets, length int
		want            []int
	}{{1, 64, []int{0, 0, 0, 0}}, {2, 32, []int{0, 0, 0, 0}}, {48, 1, []int{0, 1, 2, 3}}, {64, 1, []int{0, 1, 2, 3}}, {250, 1, []int{0, 1, 2, 3}}} {
		j := job{Targets: make([]target, tc.targets)}
		if got := j.runLength(); got != tc.length {
			t.Errorf("%d targets: runs of %d, want %d", tc.targets, got, tc.length)
		}
		single, runs := j.rotor(), j.rotor()
		var got []int
		for range 4 {
			got = append(got, single.next())
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%d targets: %v, want %v", tc.targets, got, tc.want)
		}
		single = j.rotor()
		for range 3 * tc.targets {
			want := runs.nextRun()
			for range tc.length {
				if got := single.next(); got != want {
					t.Fatalf("%d targets: datagram for %d in the run for %d", tc.targets, got, want)
				}
			}
		}
	}
}
