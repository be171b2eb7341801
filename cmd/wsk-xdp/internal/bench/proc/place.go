// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// CPUs are those that this process may run on.
func CPUs() []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var out []int
	for cpu := 0; len(out) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			out = append(out, cpu)
		}
	}
	return out
}

// On makes processes start on one CPU: they inherit the affinity of the thread that starts them. A negative CPU changes
// nothing.
func On(cpu int, in In) In {
	if cpu < 0 {
		return in
	}
	return func(start func() error) error {
		return in(func() error {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var before, one unix.CPUSet
			if err := unix.SchedGetaffinity(0, &before); err != nil {
				return fmt.Errorf("look at the CPUs of this thread: %w", err)
			}
			one.Set(cpu)
			if err := unix.SchedSetaffinity(0, &one); err != nil {
				return fmt.Errorf("pin to CPU %d: %w", cpu, err)
			}
			defer unix.SchedSetaffinity(0, &before)
			return start()
		})
	}
}

// SoftIRQThreads are the kernel's threads that do what is left of interrupts, when they are seen from here.
func SoftIRQThreads() (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		if comm, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(comm), "ksoftirqd/") {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
