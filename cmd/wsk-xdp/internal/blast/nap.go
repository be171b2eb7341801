// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// fineSleep is what is left to the kernel's clock of each wait: the runtime's timers may be a millisecond late, in which a
// hundred packets fall due at 100,000 a second.
const fineSleep = 2 * time.Millisecond

// Nap sleeps so long, or a little longer, or less where it is worth looking again: the last two milliseconds are for the next
// nap, and ctx may end. The timer is the caller's.
func Nap(ctx context.Context, timer *time.Timer, until time.Duration) {
	if until <= fineSleep {
		nap := unix.NsecToTimespec(until.Nanoseconds())
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &nap, nil) // a signal ends it early: then it is looked at again
		return
	}
	timer.Reset(until - fineSleep)
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
