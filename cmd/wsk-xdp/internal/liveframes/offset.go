// SPDX-License-Identifier: Apache-2.0

package liveframes

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// monotonicOffset is how far this process's CLOCK_MONOTONIC is ahead of the kernel's, which programs read: 0 but in a time namespace
// (time_namespaces(7)).
func monotonicOffset() time.Duration {
	text, err := os.ReadFile("/proc/self/timens_offsets")
	if err != nil {
		return 0 // a kernel that has none
	}
	return parseOffset(string(text))
}

// parseOffset reads what the kernel writes: a clock, seconds and nanoseconds in each line.
func parseOffset(text string) time.Duration {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "monotonic" {
			continue
		}
		seconds, err1 := strconv.ParseInt(f[1], 10, 64)
		nanos, err2 := strconv.ParseInt(f[2], 10, 64)
		if err1 == nil && err2 == nil {
			return time.Duration(seconds)*time.Second + time.Duration(nanos)
		}
	}
	return 0
}
