// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// portRange is first to last, both included.
type portRange struct{ first, last uint16 }

// ports is a set of ports: ranges in order, none of which touches another.
type ports []portRange

// Ports without a name of their own.
var (
	allPorts  = ports{{0, 65535}}
	ephemeral = portRange{49152, 65535}
)

func (s ports) has(port uint16) bool {
	for i := range s {
		if port <= s[i].last {
			return port >= s[i].first
		}
	}
	return false
}

// covers says that the set has the whole range.
func (s ports) covers(r portRange) bool {
	return slices.ContainsFunc(s, func(o portRange) bool { return o.first <= r.first && r.last <= o.last })
}

// makePorts is the set of all ports of the ranges.
func makePorts(ranges []portRange) ports {
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b portRange) int { return cmp.Compare(a.first, b.first) })
	var s ports
	for _, r := range ranges {
		if n := len(s); n > 0 && int(r.first) <= int(s[n-1].last)+1 {
			s[n-1].last = max(s[n-1].last, r.last)
		} else {
			s = append(s, r)
		}
	}
	return s
}

// parsePorts reads a list like 53,8000-8099.
func parsePorts(text string) ([]portRange, error) {
	var list []portRange
	for part := range strings.SplitSeq(text, ",") {
		r, err := parseRange(part)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

func parseRange(text string) (portRange, error) {
	from, to, isRange := strings.Cut(text, "-")
	first, err := parsePort(from)
	last := first
	if err == nil && isRange {
		last, err = parsePort(to)
	}
	if err == nil && last < first {
		err = fmt.Errorf("%s ends before it begins", text)
	}
	return portRange{first, last}, err
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || text[0] == '0' {
		return 0, fmt.Errorf("%q is not a port of 1 to 65535", text)
	}
	return uint16(n), nil
}
