// SPDX-License-Identifier: Apache-2.0

package policy

import "slices"

// parser turns a file into a Policy.
type parser struct {
	problems
	file      file
	positions *positions
	host      Host

	interfaces map[string]int // by name, their places
	defaults   Limits
	names      map[string]position
	memory     uint64 // of the grants so far
	files      int
}

// at notes what is wrong with a value.
func (p *parser) at(path, format string, args ...any) { p.add(p.positions.of(path), format, args...) }

// number is a value within bounds, or what it is when it is not given.
func (p *parser) number(path string, value *int64, otherwise, low, high int64) int64 {
	switch {
	case value == nil:
		return otherwise
	case *value < low || *value > high:
		p.at(path, "%d is not within %d to %d", *value, low, high)
		return otherwise
	}
	return *value
}

// word is one of several, the first when it is not given.
func (p *parser) word(path string, value *string, words ...string) string {
	switch {
	case value == nil:
		return words[0]
	case !slices.Contains(words, *value):
		p.at(path, "%q is none of %q", *value, words)
		return words[0]
	}
	return *value
}
