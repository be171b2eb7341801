// SPDX-License-Identifier: Apache-2.0

package units

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// longest is more digits than any quantity has: what is longer is not worth the arithmetic.
const longest = 40

// number reads digits, with a point among them if you like, and returns what stands behind them. ok is whether there
// are digits.
func number(s string) (value *big.Rat, rest string, ok bool) {
	end := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end < 0 {
		end = len(s)
	}
	digits := s[:end]
	if end > longest || strings.Count(digits, ".") > 1 || strings.Trim(digits, ".") == "" {
		return nil, s, false
	}
	value, ok = new(big.Rat).SetString(digits)
	return value, s[end:], ok
}

var multiples = map[byte]int64{'k': 1e3, 'M': 1e6, 'G': 1e9}

// multiple takes k, M or G off the beginning of rest and multiplies by it.
func multiple(value *big.Rat, rest string) (*big.Rat, string, error) {
	if rest == "" {
		return value, rest, nil
	}
	if m, ok := multiples[rest[0]]; ok {
		return value.Mul(value, new(big.Rat).SetInt64(m)), rest[1:], nil
	}
	for _, other := range []struct{ wrong, right string }{{"K", "k"}, {"m", "M"}, {"g", "G"}} {
		if tail, ok := strings.CutPrefix(rest, other.wrong); ok {
			return nil, "", fmt.Errorf("%s is no multiple: write %q, multiples are k, M and G", other.wrong, other.right+tail)
		}
	}
	return value, rest, nil
}

// whole is value as a number of parts, of which there are so many in one.
func whole(value *big.Rat, parts int64) (n uint64, isWhole, fits bool) {
	v := new(big.Rat).Mul(value, new(big.Rat).SetInt64(parts))
	if !v.IsInt() {
		return 0, false, true
	}
	return v.Num().Uint64(), true, v.Num().IsUint64()
}

// parseWhole reads a whole number with k, M or G behind it if you like.
func parseWhole(s string) (uint64, error) {
	value, rest, ok := number(s)
	if !ok {
		return 0, fmt.Errorf("%q is no number: use digits, with k, M or G behind them if you like", s)
	}
	value, rest, err := multiple(value, rest)
	if err != nil {
		return 0, err
	}
	if rest != "" {
		return 0, fmt.Errorf("%q is no number: %q is behind the digits, multiples are k, M and G", s, rest)
	}
	n, isWhole, fits := whole(value, 1)
	switch {
	case !isWhole:
		return 0, fmt.Errorf("%q is no whole number", s)
	case !fits:
		return 0, fmt.Errorf("%q is too large", s)
	}
	return n, nil
}

// Count is a number of things on the command line: 250000, 250k, 1.5M, 2G. It implements pflag.Value.
type Count uint64

// String is the value without multiples.
func (c Count) String() string { return strconv.FormatUint(uint64(c), 10) }

// Type names the form in help texts.
func (c *Count) Type() string { return "count" }

// Set parses s.
func (c *Count) Set(s string) error {
	v, err := parseWhole(s)
	if err != nil {
		return err
	}
	*c = Count(v)
	return nil
}
