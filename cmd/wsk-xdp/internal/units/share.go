// SPDX-License-Identifier: Apache-2.0

package units

import (
	"fmt"
	"strconv"
)

// Share is a part of something, in millionths. It implements pflag.Value.
type Share uint64

// PerCent is so many hundredths.
func PerCent(n uint64) Share { return Share(n * 1e4) }

// String is the share as Set takes it.
func (s Share) String() string { return strconv.FormatFloat(float64(s)/1e4, 'f', -1, 64) + "%" }

// Type names the form in help texts.
func (s *Share) Type() string { return "share" }

// Set parses s.
func (s *Share) Set(text string) error {
	value, rest, ok := number(text)
	if !ok || rest != "%" {
		return fmt.Errorf("%q is no share: write 5%% or 0.5%%", text)
	}
	n, isWhole, fits := whole(value, 1e4)
	switch {
	case !isWhole && fits:
		return fmt.Errorf("%q is finer than a millionth", text)
	case !fits || n > 1e6:
		return fmt.Errorf("%q is more than all of it: 100%%", text)
	}
	*s = Share(n)
	return nil
}
