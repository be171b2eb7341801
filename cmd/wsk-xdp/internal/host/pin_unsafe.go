// SPDX-License-Identifier: Apache-2.0

package host

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OnOneProcessor runs f on a thread of its own that keeps to the processor on which it begins, and returns that; nil where it
// was not to be had, and f was run all the same. What is sent from one processor in copy mode stays in order: each has a
// queue of its own behind a veth.
func OnOneProcessor(f func()) (cpu *int) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread ends with the goroutine
		var now uint32
		_, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&now)), 0, 0)
		if errno == 0 {
			var set unix.CPUSet
			set.Set(int(now))
			if unix.SchedSetaffinity(0, &set) == nil {
				cpu = new(int(now))
			}
		}
		f()
	}()
	<-done
	return cpu
}
