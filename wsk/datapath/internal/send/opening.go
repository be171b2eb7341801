// SPDX-License-Identifier: Apache-2.0

package send

import (
	"context"
	"net/netip"
	"time"
)

// Where the kernel tracks connections, a firewall lets an answer in because it has seen a datagram leave. It sees none that leaves
// by AF_XDP. So the first datagram of a flow goes through the companion socket, which makes an entry in the kernel's table,
// and from then on one as often as keeps the entry alive. The kernel judges these as it judges any program's: what its rules
// for output refuse fails, and a flow whose addresses it translates stays with it, since AF_XDP can't do the same.
//
// Order within a flow holds: before such a datagram what is under way through AF_XDP has left, and after it the next waits until
// it has left the socket.

// Tracking is what sending needs to know of connections, [conntrack.Tracker].
type Tracking interface {
	// InUse reports whether connections of the family of an address of this host are tracked.
	InUse(local netip.Addr) bool
	// Timeout is how long an entry lives without a datagram.
	Timeout() time.Duration
	// Translates reports whether the kernel gives a flow that it has seen another source or destination.
	Translates(src, dst netip.AddrPort) (bool, error)
}

// entry is the kernel's entry for a flow, as far as it is known.
type entry struct {
	until      time.Time // when the kernel is to see the next datagram; zero: there is none
	translated bool
}

// refreshes is how many datagrams the kernel sees within the life of an entry: one may get lost.
const refreshes = 3

// opened is the entry of a flow of which the kernel has just seen a datagram. Without the right to ask it is taken to be as the
// datagrams of AF_XDP are.
func opened(t Tracking, src, dst netip.AddrPort) entry {
	translated, err := t.Translates(src, dst)
	return entry{time.Now().Add(t.Timeout() / refreshes), err == nil && translated}
}

const (
	// startLimit bounds the wait for an endpoint to begin to receive: a client may send before its port is in the XDP program, and
	// the answer could be there first.
	startLimit = 100 * time.Millisecond
	// drainLimit bounds the wait for what is under way through AF_XDP. When it is over the entry is not renewed, until
	// drainAgain has passed: order comes before the entry.
	drainLimit = 100 * time.Millisecond
	drainAgain = time.Second
	// napMost is the longest pause between two looks.
	napMost = time.Millisecond
)

// waitUntil looks again and again until done answers true, and reports whether it did within the limit.
func waitUntil(ctx context.Context, limit time.Duration, done func() bool) bool {
	end := time.Now().Add(limit)
	for nap := napMost / 64; !done(); nap = min(2*nap, napMost) {
		if time.Now().After(end) {
			return false
		}
		timer := time.NewTimer(nap)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
	return true
}
