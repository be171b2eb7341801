// SPDX-License-Identifier: Apache-2.0

package units

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Step is a rate for a time.
type Step struct {
	Rate Rate
	For  Duration
}

// Schedule is steps one after the other, on the command line: 100k:10s,1M:30s. It implements pflag.Value.
type Schedule []Step

// mostSteps is more than anybody writes by hand, and few enough to be listed in a report.
const mostSteps = 1000

// String is the schedule as Set takes it.
func (l Schedule) String() string {
	words := make([]string, len(l))
	for i, s := range l {
		words[i] = s.Rate.String() + ":" + s.For.String()
	}
	return strings.Join(words, ",")
}

// Type names the form in help texts.
func (l *Schedule) Type() string { return "schedule" }

// Set parses s.
func (l *Schedule) Set(s string) error {
	var out Schedule
	all := time.Duration(0)
	for word := range strings.SplitSeq(s, ",") {
		rate, length, ok := strings.Cut(word, ":")
		if !ok {
			return fmt.Errorf("%q is no step: write a rate, a colon and a time, with commas between steps: 100k:10s,1M:30s", word)
		}
		var one Step
		if err := one.Rate.Set(rate); err != nil {
			return err
		}
		if err := one.For.Set(length); err != nil {
			return err
		}
		switch {
		case one.Rate.IsMax():
			return fmt.Errorf("%q: max is no rate of a step: give packets or bits a second", word)
		case one.For == 0:
			return fmt.Errorf("%q: a step takes some time", word)
		case time.Duration(one.For) > math.MaxInt64-all:
			return fmt.Errorf("%q is longer than 292 years", s)
		}
		all += time.Duration(one.For)
		if out = append(out, one); len(out) > mostSteps {
			return fmt.Errorf("%q has more than %s steps", s[:20]+"…", Grouped(mostSteps))
		}
	}
	*l = out
	return nil
}

// Length is how long all steps take.
func (l Schedule) Length() (all time.Duration) {
	for _, s := range l {
		all += time.Duration(s.For)
	}
	return all
}
