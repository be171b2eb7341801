// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// RunDelay is how long the threads of this process have been ready to run and had no processor, those that have ended left
// out. It is 0 where the kernel does not count that.
func RunDelay() (sum time.Duration) {
	files, err := filepath.Glob("/proc/self/task/*/schedstat")
	if err != nil {
		return 0
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // has just ended
		}
		if words := strings.Fields(string(raw)); len(words) >= 2 {
			n, _ := strconv.ParseInt(words[1], 10, 64)
			sum += time.Duration(n)
		}
	}
	return sum
}
