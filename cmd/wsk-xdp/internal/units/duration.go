// SPDX-License-Identifier: Apache-2.0

package units

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"
)

// Duration is a time on the command line: 10s, 300ms, 1h30m, 2d, or seconds without a unit. It is never negative. It
// implements pflag.Value.
type Duration time.Duration

// String is the time with its units.
func (d Duration) String() string { return time.Duration(d).String() }

// Type names the form in help texts.
func (d *Duration) Type() string { return "duration" }

// lengths are the units, longest name first where one begins another.
var lengths = []struct {
	unit   string
	length time.Duration
}{
	{"ns", 1}, {"us", time.Microsecond}, {"µs", time.Microsecond}, {"μs", time.Microsecond}, {"ms", time.Millisecond},
	{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour},
}

// Set parses s.
func (d *Duration) Set(s string) error {
	sum := new(big.Rat)
	for rest := s; ; {
		value, behind, ok := number(rest)
		if !ok {
			if strings.HasPrefix(s, "-") {
				return fmt.Errorf("%q is negative", s)
			}
			return fmt.Errorf("%q is no duration: write 5s, 300ms, 1h30m, 2d, or 10 for ten seconds", s)
		}
		length, behind, ok := unit(behind)
		if behind == "" && rest == s && !ok {
			length, ok = time.Second, true
		}
		if !ok {
			return fmt.Errorf("%q is no duration: units are ns, us, ms, s, m, h and d, as in 5s, 300ms, 1h30m or 2d", s)
		}
		sum.Add(sum, value.Mul(value, new(big.Rat).SetInt64(int64(length))))
		if behind == "" {
			break
		}
		rest = behind
	}
	n, isWhole, fits := whole(sum, 1)
	switch {
	case !isWhole:
		return fmt.Errorf("%q is finer than a nanosecond", s)
	case !fits || n > math.MaxInt64:
		return fmt.Errorf("%q is longer than 292 years", s)
	}
	*d = Duration(n)
	return nil
}

func unit(s string) (length time.Duration, rest string, ok bool) {
	for _, l := range lengths {
		if rest, ok := strings.CutPrefix(s, l.unit); ok {
			return l.length, rest, true
		}
	}
	return 0, s, false
}
