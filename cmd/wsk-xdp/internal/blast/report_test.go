// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// The error is in millionths at any rate: of 3 packets in 400 ms at 8 pps it is not that of the whole number nearest to
// 7.5.
func TestPacingErrorOfLowRates(t *testing.T) {
	for _, c := range []struct {
		rate, sent uint64
		sending    time.Duration
		want       int64
	}{
		{8, 3, 400 * time.Millisecond, -62_500},
		{1, 14, 10 * time.Second, 400_000},
		{7, 13, 2 * time.Second, -71_429},
		{100_000, 1_000_000, 10 * time.Second, 0},
		{100_000, 0, time.Second, -1_000_000},
		{1_000_000_000_000, 5, time.Second, -1_000_000},
		{1, 1 << 20, time.Second, 1<<20*1_000_000 - 1_000_000},
	} {
		var r Report
		r.Fill(Config{Rate: c.rate, Duration: c.sending}, Result{Counts: Counts{Submitted: c.sent}, Sending: c.sending}, Wire{}, 0)
		if r.Pacing.Error != c.want {
			t.Errorf("%d in %v at %d pps: error of %d ppm, want %d", c.sent, c.sending, c.rate, r.Pacing.Error, c.want)
		}
	}
}

// What fell due and was not sent is forfeited, also when no IRP came back to send it with.
func TestForfeitedAddsUp(t *testing.T) {
	transport, sockets := openSockets(t, 1)
	transport.SetMode(wsktest.Wait)
	c := Config{Rate: 10_000, Duration: 100 * time.Millisecond, Batch: 1, InFlight: 7, Drain: time.Millisecond}
	res := mustRun(t, t.Context(), c, NewSender(sockets, remote, nil, nil, 1))
	if res.Submitted != 7 || res.Submitted+res.Forfeited != requested(c) {
		t.Errorf("%d submitted and %d forfeited of %d", res.Submitted, res.Forfeited, requested(c))
	}
}
