// SPDX-License-Identifier: Apache-2.0

package send

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// napShort is the longest nap that keeps the processor.
const napShort = 50 * time.Microsecond

// nap sleeps for d: for tens of microseconds to the microsecond and with the processor of the run-time kept, since a signal ends
// it, so that it does not hold up a collection; for longer with the processor lent to whoever needs it.
func nap(d time.Duration) {
	interval := unix.NsecToTimespec(int64(d))
	if d > napShort {
		unix.Syscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&interval)), 0, 0)
		return
	}
	// The thread's timer slack, 50 µs as a rule, would double the time. 0 is the default again.
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 1, 0)
	unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&interval)), 0, 0)
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 0, 0)
}
