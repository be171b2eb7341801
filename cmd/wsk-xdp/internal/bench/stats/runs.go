// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"context"
	"errors"
	"fmt"
)

// Runs are the figures of one contestant, round by round, nil for a round in which it failed.
type Runs[F any] []*F

// Values collects one figure of all good runs.
func (r Runs[F]) Values(figure func(*F) float64) []float64 {
	var out []float64
	for _, f := range r {
		if f != nil {
			out = append(out, figure(f))
		}
	}
	return out
}

// Median is that of one figure of all good runs.
func (r Runs[F]) Median(figure func(*F) float64) float64 { return Median(r.Values(figure)) }

// Ratios are those of a figure to that of base, round by round. Rounds in which one of the two failed give none.
func (r Runs[F]) Ratios(base Runs[F], figure func(*F) float64) []float64 {
	var out []float64
	for i := range min(len(r), len(base)) {
		if a, b := r[i], base[i]; a != nil && b != nil && figure(b) > 0 {
			out = append(out, figure(a)/figure(b))
		}
	}
	return out
}

// Ratio is the median of [Runs.Ratios] with three digits, nil when there is none.
func (r Runs[F]) Ratio(base Runs[F], figure func(*F) float64) *float64 {
	all := r.Ratios(base, figure)
	if len(all) == 0 {
		return nil
	}
	m := Round(Median(all), 3)
	return &m
}

// Contestant is one of several that run in turn.
type Contestant[F any] struct {
	// What says what Err is about.
	What string
	Runs Runs[F]
	Err  error // the first failure, with What in front
}

// Rounds lets each of them run once a round, every other round in reverse. A contestant that has failed runs no more,
// and its figures of those rounds are nil. once runs the contestant with that index; done is called after every run,
// when the figures have been noted. The error is that of the caller's context, at once, or else the errors of all
// contestants.
func Rounds[F any](
	ctx context.Context, rounds int, all []*Contestant[F], once func(i int) (*F, error), done func(round, i int, f *F, err error),
) error {
	for round := range rounds {
		for _, i := range Order(len(all), round) {
			who := all[i]
			if who.Err != nil {
				who.Runs = append(who.Runs, nil)
				continue
			}
			f, err := once(i)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				f, who.Err = nil, fmt.Errorf("%s: %w", who.What, err)
			}
			who.Runs = append(who.Runs, f)
			done(round, i, f, err)
		}
	}
	var errs []error
	for _, who := range all {
		errs = append(errs, who.Err)
	}
	return errors.Join(errs...)
}

// OrNil is the result of a measurement with n results: no report when an error left none.
func OrNil[R any](report *R, n int, err error) (*R, error) {
	if err != nil && n == 0 {
		return nil, err
	}
	return report, err
}
