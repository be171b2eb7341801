// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// OnProcessor runs f on a thread of its own that keeps to a processor.
func OnProcessor(cpu int, f func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread ends with the goroutine
		var set unix.CPUSet
		set.Set(cpu)
		if err = unix.SchedSetaffinity(0, &set); err != nil {
			err = fmt.Errorf("pin a thread to processor %d: %w", cpu, err)
			return
		}
		err = f()
	}()
	<-done
	return err
}

// MayRunOn is an error where a thread of this process can't be pinned to a processor: there is no such, or another is meant to have it.
func MayRunOn(cpu int) error {
	var set unix.CPUSet
	if cpu < 0 || cpu >= len(set)*64 {
		return unix.EINVAL
	}
	return OnProcessor(cpu, func() error { return nil })
}
