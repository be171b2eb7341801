// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"regexp"
	"strings"
)

// complaint is a line on which a kernel says that something in itself went wrong.
var complaint = regexp.MustCompile(`WARNING:|BUG:|Oops|Kernel panic|UBSAN:|soft lockup|blocked for more than|` +
	`NETDEV WATCHDOG|Tx Unit Hang|rcu.*stall|refcount_t:`)

// Complaints are the lines of the kernel log that tell of trouble in the kernel, each without its time. They are no
// failure by themselves: emulated processors stall when the host has other things to do.
func (r *Result) Complaints() []string {
	var found []string
	for line := range strings.Lines(r.KernelLog) {
		if !complaint.MatchString(line) {
			continue
		}
		line = strings.TrimSpace(line)
		if _, after, ok := strings.Cut(line, "] "); ok && strings.HasPrefix(line, "[") {
			line = after
		}
		found = append(found, line)
	}
	return found
}

// lastWords is why a kernel ended, if it said so.
func lastWords(r *Result) string {
	if all := r.Complaints(); len(all) > 0 {
		return ": " + all[0]
	}
	return ""
}
