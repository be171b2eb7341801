// SPDX-License-Identifier: Apache-2.0

package units

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Factor is how many times as fast something goes, in millionths. The zero value is once. It implements pflag.Value.
type Factor uint64

// onceMicro is a factor of 1, and mostFactor the largest.
const (
	onceMicro  = 1_000_000
	mostFactor = 1_000_000
)

// String is the factor as Set takes it.
func (f Factor) String() string {
	return strconv.FormatFloat(float64(f.orOnce())/onceMicro, 'f', -1, 64)
}

func (f Factor) orOnce() Factor {
	if f == 0 {
		return onceMicro
	}
	return f
}

// Type names the form in help texts.
func (f *Factor) Type() string { return "factor" }

// Set parses s.
func (f *Factor) Set(s string) error {
	value, rest, ok := number(strings.TrimSuffix(s, "x"))
	if !ok || rest != "" {
		return fmt.Errorf("%q is no factor: write 2, 0.5 or 10x", s)
	}
	n, isWhole, fits := whole(value, onceMicro)
	switch {
	case !isWhole && fits:
		return fmt.Errorf("%q is finer than a millionth", s)
	case n == 0 && fits:
		return fmt.Errorf("%q times as fast never ends: write 2, 0.5 or 10x", s)
	case !fits || n > mostFactor*onceMicro:
		return fmt.Errorf("%q is more than %s times as fast", s, Grouped(mostFactor))
	}
	*f = Factor(n)
	return nil
}

// Of is how long something takes that takes d at once the speed, or the longest time that there is.
func (f Factor) Of(d time.Duration) time.Duration {
	if d <= 0 {
		return d
	}
	hi, lo := bits.Mul64(uint64(d), onceMicro)
	divisor := uint64(f.orOnce())
	if hi >= divisor {
		return math.MaxInt64
	}
	out, _ := bits.Div64(hi, lo, divisor)
	return time.Duration(min(out, math.MaxInt64))
}
