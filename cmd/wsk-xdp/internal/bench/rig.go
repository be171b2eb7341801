// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"

	"golang.org/x/sys/unix"
)

// lane sends from one goroutine.
type lane interface {
	// burst hands over some datagrams, about [burst] of them, and returns how many. That something can't go now is not
	// an error: the next call comes at once.
	burst() (int, error)
	// syscalls is how many system calls the bursts made so far for sending and for collecting completions.
	syscalls() uint64
}

// rig is an engine made ready.
type rig struct {
	lanes []lane
	// drain waits, after the last burst, for what is still under way. nil: nothing is when a burst returns.
	drain func()
	// failed is the number of datagrams that the engine knows to have failed. nil: it can't tell.
	failed func() uint64
	// uncounted is whether the lanes can't count system calls, because others make them for them.
	uncounted bool
	// granted is what the kernel gave, for the report.
	granted func() any
	// close gives everything back, after the last burst.
	close func() error
}

// later reports whether a kernel socket only wants to be asked again.
func later(err error) bool {
	return errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
}
