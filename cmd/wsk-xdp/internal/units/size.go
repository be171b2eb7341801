// SPDX-License-Identifier: Apache-2.0

package units

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Sizes are frame sizes in bytes with FCS on the command line: one (64), some in turn (64,512,1518), all from one to
// another (64-1518), or the mix called imix (seven of 64, four of 594, one of 1518), or another such mix
// (imix:64=3,1518=1). The zero value is none. It implements pflag.Value.
type Sizes struct {
	text  string
	parts []sizePart
	mixed bool
}

// sizePart is weight times each size from low to high.
type sizePart struct{ low, high, weight int }

// Bounds of sizes and mixes. No datagram needs a larger frame: one of 65507 bytes has 65553 around it.
const (
	maxSize  = 65573
	maxCycle = 1 << 17
)

// OneSize is the list of one size.
func OneSize(n int) Sizes { return Sizes{text: strconv.Itoa(n), parts: []sizePart{{n, n, 1}}} }

// String is the text that was parsed.
func (z Sizes) String() string { return z.text }

// Type names the form in help texts.
func (z *Sizes) Type() string { return "sizes" }

// Set parses s.
func (z *Sizes) Set(s string) error {
	list, mixed := strings.CutPrefix(s, "imix:")
	if s == "imix" {
		list, mixed = "64=7,594=4,1518=1", true
	}
	out := Sizes{text: s, mixed: mixed}
	cycle := 0
	for word := range strings.SplitSeq(list, ",") {
		p, err := parseSize(word, mixed)
		if err != nil {
			return err
		}
		if cycle += (p.high - p.low + 1) * p.weight; cycle > maxCycle {
			return fmt.Errorf("%q is a cycle of more than %s packets", s, Grouped(maxCycle))
		}
		out.parts = append(out.parts, p)
	}
	*z = out
	return nil
}

func parseSize(word string, mixed bool) (p sizePart, err error) {
	name, share, weighed := strings.Cut(word, "=")
	low, high, isRange := strings.Cut(name, "-")
	if weighed != mixed || isRange && (mixed || low == "") {
		return p, fmt.Errorf("%q is no frame size: write 64, 64,512,1518, 64-1518, imix or imix:64=7,1518=1", word)
	}
	if p.low, err = oneSize(low); err != nil {
		return p, err
	}
	p.high, p.weight = p.low, 1
	if isRange {
		if p.high, err = oneSize(high); err != nil {
			return p, err
		}
		if p.high < p.low {
			return p, fmt.Errorf("%q runs backwards: write %s-%s", word, high, low)
		}
	}
	if mixed {
		n, err := parseWhole(share)
		if err != nil {
			return p, err
		}
		if n < 1 || n > 1000 {
			return p, fmt.Errorf("%q: the share of a size is 1 to 1000", word)
		}
		p.weight = int(n)
	}
	return p, nil
}

func oneSize(s string) (int, error) {
	if strings.Trim(s, "0123456789") != "" || s == "" {
		return 0, fmt.Errorf("%q is no whole number: a frame size is in bytes with FCS, as in 64,512,1518", s)
	}
	n, err := parseWhole(s)
	if err != nil {
		return 0, err
	}
	if n > maxSize {
		return 0, fmt.Errorf("%s is larger than a datagram can be", s)
	}
	return int(n), nil
}

// Cycle are the sizes of the packets in the order in which they are sent, to be repeated. Those of a mix are spread as
// evenly as can be.
func (z Sizes) Cycle() []int {
	total := 0
	for _, p := range z.parts {
		total += (p.high - p.low + 1) * p.weight
	}
	out := make([]int, 0, total)
	if !z.mixed {
		for _, p := range z.parts {
			for n := p.low; n <= p.high; n++ {
				out = append(out, n)
			}
		}
		return out
	}
	// Each turn every size earns its share; the richest pays the whole and goes.
	credit := make([]int, len(z.parts))
	for range total {
		richest := 0
		for i, p := range z.parts {
			if credit[i] += p.weight; credit[i] > credit[richest] {
				richest = i
			}
		}
		credit[richest] -= total
		out = append(out, z.parts[richest].low)
	}
	return out
}

// Each are the sizes of a comparison, one run each. A range or a mix has no place there.
func (z Sizes) Each() ([]int, error) {
	var out []int
	for _, p := range z.parts {
		if z.mixed || p.low != p.high {
			return nil, errors.New("sizes are compared one by one: write them out, as in 64,512,1518")
		}
		out = append(out, p.low)
	}
	return out, nil
}
