// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"slices"
	"strings"
)

// All are the faults there are, in the order in which they are run.
func All() []*Fault {
	return slices.Concat(linkFaults(), deviceFaults(), mtuFaults(), frameFaults(), addressFaults(), routeFaults(), failoverFaults(), neighbourFaults(),
		queueFaults(), processFaults(), resourceFaults(), clientFaults(), sixFaults())
}

// Select are those whose name has one of the parts; all of them for none.
func Select(parts []string) (out []*Fault) {
	for _, f := range All() {
		if len(parts) == 0 || slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(f.ID(), p) }) {
			out = append(out, f)
		}
	}
	return out
}

// Short are the names of those that every test run has: one of each kind that takes no time.
var Short = []string{"send/link flaps", "receive/link down", "send/device again, same index", "send/route replaced", "send/neighbour deleted",
	"send/fail-over by route", "receive/program taken off", "send/process killed", "send/cancel storm", "receive/socket closed under load"}

// both are a fault for each direction.
func both(f Fault) []*Fault {
	s, r := f, f
	s.Dir, r.Dir = Send, Receive
	return []*Fault{&s, &r}
}
