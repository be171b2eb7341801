// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func itself(f *float64) float64 { return *f }

func runsOf(values ...float64) (r Runs[float64]) {
	for _, v := range values {
		if v < 0 {
			r = append(r, nil)
		} else {
			r = append(r, &v)
		}
	}
	return r
}

func TestRuns(t *testing.T) {
	r, base := runsOf(10, -1, 30, 40, 7), runsOf(5, 5, -1, 10, 0)
	if diff := cmp.Diff([]float64{10, 30, 40, 7}, r.Values(itself)); diff != "" {
		t.Errorf("values:\n%s", diff)
	}
	if diff := cmp.Diff([]float64{2, 4}, r.Ratios(base, itself)); diff != "" {
		t.Errorf("ratios:\n%s", diff)
	}
	if got := r.Ratio(base, itself); got == nil || *got != 3 {
		t.Errorf("ratio %v", got)
	}
	if got := r.Ratio(runsOf(-1, 5), itself); got != nil {
		t.Errorf("no round in which both succeeded: %v", *got)
	}
	if got := runsOf(2).Ratio(runsOf(3), itself); got == nil || *got != 0.667 {
		t.Errorf("ratio %v, want three digits", got)
	}
}

func TestRounds(t *testing.T) {
	all := []*Contestant[float64]{{What: "a"}, {What: "b"}, {What: "c"}}
	broken := errors.New("broken")
	order, told := "", ""
	err := Rounds(t.Context(), 3, all, func(i int) (*float64, error) {
		round := len(all[i].Runs)
		order += fmt.Sprint(i)
		v := float64(10*round + i)
		if i == 1 && round == 1 {
			return &v, broken
		}
		return &v, nil
	}, func(round, i int, f *float64, err error) {
		if len(all[i].Runs) != round+1 || (f == nil) != (err != nil) {
			t.Errorf("round %d of %d: %v, %v, noted %v", round, i, f, err, all[i].Runs)
		}
		told += fmt.Sprint(i)
	})
	if order != "01221002" || told != order {
		t.Errorf("order %s, told %s", order, told)
	}
	if err == nil || err.Error() != "b: broken" || !errors.Is(all[1].Err, broken) || all[0].Err != nil {
		t.Errorf("%v, %v", err, all[1].Err)
	}
	for i, want := range []Runs[float64]{runsOf(0, 10, 20), runsOf(1, -1, -1), runsOf(2, 12, 22)} {
		if diff := cmp.Diff(want, all[i].Runs); diff != "" {
			t.Errorf("%d:\n%s", i, diff)
		}
	}
}

// A run that ends because the caller gave up is not noted as a failure; one after which the caller gives up is noted.
func TestRoundsEndAtOnce(t *testing.T) {
	for _, inside := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		all := []*Contestant[float64]{{}, {}}
		var one float64
		n := 0
		err := Rounds(ctx, 5, all, func(int) (*float64, error) {
			if n++; inside || n > 1 {
				cancel()
				return nil, errors.New("because of that")
			}
			return &one, nil
		}, func(int, int, *float64, error) { cancel() })
		noted := 1
		if inside {
			noted = 0
		}
		if !errors.Is(err, context.Canceled) || len(all[0].Runs) != noted || len(all[1].Runs) != 0 || all[0].Err != nil || all[1].Err != nil {
			t.Errorf("inside %v: %v after %d runs: %+v %+v", inside, err, n, all[0], all[1])
		}
		cancel()
	}
}
