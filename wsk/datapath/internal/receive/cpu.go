// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"fmt"
	"log/slog"
	"runtime"

	"golang.org/x/sys/unix"
)

// CheckCPUs refuses processors that this process may not use.
func CheckCPUs(cpus []int) error {
	if len(cpus) == 0 {
		return nil
	}
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return fmt.Errorf("ask which processors may be used: %w", err)
	}
	for _, cpu := range cpus {
		if cpu < 0 || !allowed.IsSet(cpu) {
			return fmt.Errorf("ReceiveCPUs: processor %d is not one of the %d that this process may use (taskset -p)",
				cpu, allowed.Count())
		}
	}
	return nil
}

// keepTo keeps the calling goroutine, a queue's, to one of the processors until the function returned is called.
// Where its thread can't be given back as it was, it stays locked and ends with the goroutine.
func keepTo(cpus []int, queue int, log *slog.Logger) (unlock func()) {
	if len(cpus) == 0 {
		return func() {}
	}
	cpu := cpus[queue%len(cpus)]
	runtime.LockOSThread()
	var before, one unix.CPUSet
	err := unix.SchedGetaffinity(0, &before)
	if err == nil {
		one.Set(cpu)
		err = unix.SchedSetaffinity(0, &one)
	}
	if err != nil {
		log.Warn("keep the receiving goroutine of a queue to a processor", "queue", queue, "processor", cpu, "err", err)
	}
	return func() {
		if err == nil && unix.SchedSetaffinity(0, &before) == nil {
			runtime.UnlockOSThread()
		}
	}
}
