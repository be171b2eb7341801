// SPDX-License-Identifier: Apache-2.0

package send

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nap sleeps for d, to the microsecond, and keeps the processor of the run-time: for tens of microseconds only. A signal
// ends it, so that it does not hold up a collection.
func nap(d time.Duration) {
	// The thread's timer slack, 50 µs as a rule, would double the time. 0 is the default again.
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 1, 0)
	interval := unix.NsecToTimespec(int64(d))
	unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&interval)), 0, 0)
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 0, 0)
}
