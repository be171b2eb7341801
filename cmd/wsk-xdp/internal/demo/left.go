// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"os"
	"path/filepath"
	"strings"
)

// namespacesHeld counts the descriptors of this process that hold a network namespace: those of namespaces themselves
// and AF_XDP mappings, which keep the queue and with it the namespace.
func namespacesHeld() int {
	n := 0
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, "net:[") {
			n++
		}
	}
	maps, _ := os.ReadFile("/proc/self/maps")
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "socket:[") {
			n++
		}
	}
	return n
}
