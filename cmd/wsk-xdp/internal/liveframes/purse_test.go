// SPDX-License-Identifier: Apache-2.0

package liveframes

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
)

// A run that is too fast for its lanes ends with the call that is due at its end: those that it is behind with are forfeited, and not sent
// for as long as that takes.
func TestPurseEndsInTime(t *testing.T) {
	const slow = 10 * time.Microsecond // for a packet, of which ten are due meanwhile
	c := blast.Config{Rate: blast.PPS(1_000_000), Duration: time.Second, Batch: 64}
	p := purse{pacer: c.Pacer(bucket)}
	at, sent, late := time.Duration(0), uint64(0), 0
	for over := false; !over; at += time.Millisecond {
		var n uint64
		n, _, over = p.take(at, c.Duration)
		if sent += n; at >= c.Duration && n > 0 {
			late++
		}
		at += time.Duration(n) * slow
	}
	if late > 1 || sent+p.pacer.Forfeited() != blast.Requested(c) {
		t.Errorf("%d calls after the end, which was %v ago; %d sent, %d forfeited", late, at-c.Duration, sent, p.pacer.Forfeited())
	}
}
