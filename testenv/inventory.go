// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// inventory is what a process holds that tests must give back.
type inventory struct {
	descriptors map[int]string
	mappings    map[mapping]bool
	goroutines  map[string]bool // by number
}

func takeInventory() inventory {
	// The runtime's poller opens descriptors of its own on first use; they are no leak.
	if r, w, err := os.Pipe(); err == nil {
		_ = r.SetDeadline(time.Now())
		r.Close()
		w.Close()
	}
	inv := inventory{descriptors: openDescriptors(), mappings: map[mapping]bool{}, goroutines: map[string]bool{}}
	for _, m := range socketMappings() {
		inv.mappings[m] = true
	}
	for id := range goroutineStacks() {
		inv.goroutines[id] = true
	}
	return inv
}

// leaks returns what is there now and was not then, giving it some time (see Patience) to go.
func (inv inventory) leaks(settle time.Duration) []string {
	deadline := time.Now().Add(Patience(settle))
	for {
		// Objects whose owner forgot them are closed by the collector; that counts as given back.
		runtime.GC()
		found := inv.compare()
		if len(found) == 0 || time.Now().After(deadline) {
			return found
		}
		time.Sleep(10 * time.Millisecond) // nothing announces that a descriptor was closed
	}
}

func (inv inventory) compare() []string {
	var out []string
	for fd, target := range openDescriptors() {
		if old, ok := inv.descriptors[fd]; ok && old == target {
			continue
		}
		out = append(out, fmt.Sprintf("descriptor %d: %s", fd, describeDescriptor(fd, target)))
	}
	for _, m := range socketMappings() {
		if !inv.mappings[m] {
			out = append(out, fmt.Sprintf("mapping %#x-%#x of socket:[%d], which keeps its queue busy", m.start, m.end, m.inode))
		}
	}
	for id, stack := range goroutineStacks() {
		if !inv.goroutines[id] && !harmlessGoroutine(stack) {
			out = append(out, stack)
		}
	}
	return out
}

// goroutineStacks returns the stack of every goroutine but the caller's, by goroutine number.
func goroutineStacks() map[string]string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	out := map[string]string{}
	for n, stack := range strings.Split(string(buf), "\n\n") {
		if n == 0 {
			continue // the caller comes first
		}
		if id, _, ok := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " "); ok {
			out[id] = stack
		}
	}
	return out
}

// harmlessGoroutine: those that a library starts once and keeps for the life of the process.
func harmlessGoroutine(stack string) bool {
	for _, s := range []string{"os/signal.loop", "os/signal.signal_recv", "runtime.ensureSigM", "testing.(*M).startAlarm"} {
		if strings.Contains(stack, s) {
			return true
		}
	}
	return false
}
