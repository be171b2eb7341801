// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// An interrupt does not wait out the drain, whether it comes before or in it.
func TestInterruptEndsTheDrain(t *testing.T) {
	for _, c := range []Config{
		{Count: 5, Batch: 1, InFlight: 8, Drain: time.Hour},
		{Duration: time.Hour, Batch: 1, InFlight: 8, Drain: time.Hour},
	} {
		transport, sockets := openSockets(t, 1)
		transport.SetMode(wsktest.Wait)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for transport.Counts().Pending < 5 && t.Context().Err() == nil {
				runtime.Gosched()
			}
			cancel()
		}()
		res := mustRun(t, ctx, c, NewSender(sockets, remote, nil, nil, 1))
		if res.Elapsed >= c.Drain || !res.Interrupted || res.Failed != res.Submitted || res.Unfinished != 0 {
			t.Errorf("%+v: %+v", c, res)
		}
	}
}
