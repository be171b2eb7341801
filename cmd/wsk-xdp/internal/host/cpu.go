// SPDX-License-Identifier: Apache-2.0

package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// CPU is processor time of this process, all threads.
type CPU struct{ User, System time.Duration }

// CPUTime reads the processor time used so far.
func CPUTime() CPU {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return CPU{}
	}
	return CPU{time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())}
}

// Sub is the time used since an earlier reading.
func (c CPU) Sub(earlier CPU) CPU { return CPU{c.User - earlier.User, c.System - earlier.System} }

// Total is both together.
func (c CPU) Total() time.Duration { return c.User + c.System }
