// SPDX-License-Identifier: Apache-2.0

package ping

import (
	"context"
	"time"
)

// Link sends pings, and hands over to a tally what comes back.
type Link interface {
	// Ready waits until there is room for another datagram. It reports false where there is none for so long, or ctx ends.
	Ready(ctx context.Context, longest time.Duration) bool
	// Send passes the datagram with this stamp at its beginning, which is read during the call. It goes behind Ready.
	Send(stamp []byte)
	// Over is whether nothing can be sent any more.
	Over() bool
	// Failed are the sends that failed, by why; UnderWay how many have not ended.
	Failed() map[string]uint64
	UnderWay() int
}

// sumOf is how many failures there are.
func sumOf(failed map[string]uint64) (n uint64) {
	for _, one := range failed {
		n += one
	}
	return n
}
