// SPDX-License-Identifier: Apache-2.0

package units

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Count is a number of things on the command line: 250000, 250k, 1.5M, 2G. It implements pflag.Value.
type Count uint64

// String is the value without multiples.
func (c Count) String() string { return strconv.FormatUint(uint64(c), 10) }

// Type names the form in help texts.
func (c *Count) Type() string { return "count" }

// Set parses s.
func (c *Count) Set(s string) error {
	v, err := parseScaled(s)
	if err != nil {
		return err
	}
	*c = Count(v)
	return nil
}

// Rate is packets per second on the command line: 100k, 1.5M, 250kpps, or max. It implements pflag.Value.
type Rate uint64

// Unlimited is the Rate called max.
const Unlimited Rate = 0

// String is the value without multiples.
func (r Rate) String() string {
	if r == Unlimited {
		return "max"
	}
	return strconv.FormatUint(uint64(r), 10)
}

// Type names the form in help texts.
func (r *Rate) Type() string { return "pps|max" }

// maxRate keeps products of rate and nanoseconds of a long run inside 128 bits by far, and is beyond any NIC.
const maxRate = 1_000_000_000_000

// Set parses s. Bit rates are refused by name, since they mean different things to different people.
func (r *Rate) Set(s string) error {
	if s == "max" || s == "unlimited" {
		*r = Unlimited
		return nil
	}
	lower := strings.ToLower(s)
	if strings.HasSuffix(lower, "bit") || strings.HasSuffix(lower, "bps") {
		return fmt.Errorf("%q is a bit rate: give packets per second, such as 100k, 1.5Mpps or max", s)
	}
	if strings.HasSuffix(lower, "pps") {
		s = s[:len(s)-len("pps")]
	}
	v, err := parseScaled(s)
	switch {
	case err != nil:
		return err
	case v == 0:
		return fmt.Errorf("a rate of 0 never sends: give 1 or more, or max")
	case v > maxRate:
		return fmt.Errorf("%s packets per second is above %s: did you mean max?", s, Grouped(maxRate))
	}
	*r = Rate(v)
	return nil
}

var scales = map[byte]float64{'k': 1e3, 'K': 1e3, 'm': 1e6, 'M': 1e6, 'g': 1e9, 'G': 1e9}

func parseScaled(s string) (uint64, error) {
	if v, err := strconv.ParseUint(s, 10, 64); err == nil {
		return v, nil
	}
	scale, digits := 1.0, s
	if s != "" {
		if f, ok := scales[s[len(s)-1]]; ok {
			scale, digits = f, s[:len(s)-1]
		}
	}
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsNaN(v) || v < 0 || strings.ContainsAny(digits, "xXpPeEiIn_") {
		return 0, fmt.Errorf("%q is no number: use digits, with k, M or G behind them if you like", s)
	}
	v *= scale
	if v >= 1<<63 {
		return 0, fmt.Errorf("%q is too large", s)
	}
	whole := math.Round(v) // 2.3k is 2299.9999999999995 otherwise
	if math.Abs(v-whole) > 1e-6*max(1, v) {
		return 0, fmt.Errorf("%q is no whole number", s)
	}
	return uint64(whole), nil
}
