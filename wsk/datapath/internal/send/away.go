// SPDX-License-Identifier: Apache-2.0

package send

import (
	"sync/atomic"
	"time"
)

// A queue whose socket broke may get no other for as long as it likes: somebody else has bound the queue meanwhile, the interface has
// fewer channels, locked memory or descriptors have run out. It is away then: it is tried again and again (repair), and flows lead
// through the kernel's stack until it is back, as they do where a queue can't be opened in the first place.

// awayAfter is how long a queue may be without a socket before nothing is to wait for one: as long as the kernel may take to give
// back what was closed.
const awayAfter = 100 * time.Millisecond

// absence is the time for which a queue has got no socket.
type absence struct {
	since time.Time // when the first attempt began that failed; the poller's, zero while none has failed
	why   atomic.Pointer[error]
}

// note notes an attempt that failed. It reports whether the queue is away from this one on.
func (a *absence) note(began time.Time, err error) (news bool) {
	if a.since.IsZero() {
		a.since = began
	}
	if time.Since(a.since) < awayAfter {
		return false
	}
	return a.why.Swap(&err) == nil
}

// end notes that there is a socket. It reports whether the queue was away.
func (a *absence) end() (was bool) {
	a.since = time.Time{}
	return a.why.Swap(nil) != nil
}

// err is why there is no socket and nothing is to wait for one; nil while there is one, or may be one in a moment.
func (a *absence) err() error {
	if why := a.why.Load(); why != nil {
		return *why
	}
	return nil
}
