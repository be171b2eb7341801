// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestCloseUnderSenders closes the datapath under the hands of those who send: every operation ends, and the sockets can be
// closed afterwards.
func TestCloseUnderSenders(t *testing.T) {
	for range 5 {
		dp, _ := newFakeDatapath(t, xdptest.Config{Budget: 7}, Options{Logger: testLogger(t)})
		c := newClient(t, dp)
		var senders sync.WaitGroup
		var stop atomic.Bool
		var sent atomic.Int64
		for range 3 {
			s := c.socket("0.0.0.0:0")
			to := warm(t, s)
			senders.Go(func() {
				var refused bool
				for !refused && !stop.Load() {
					for _, irp := range sendAll(s, to, 50) {
						switch status := await(t, irp); status {
						case wsk.STATUS_SUCCESS:
						case wsk.STATUS_FILE_FORCED_CLOSED, wsk.STATUS_CANCELLED:
							refused = true
						default:
							t.Errorf("%v", status)
							refused = true
						}
						sent.Add(1)
					}
				}
			})
		}
		testenv.Eventually(t, waitLimit, "some traffic", func() bool { return sent.Load() >= 300 })
		dp.Close()
		senders.Wait()
		stop.Store(true)
	}
}

// TestCloseUnderNewWork closes the datapath while work begins, as it does for each destination that nobody has sent to
// yet.
func TestCloseUnderNewWork(t *testing.T) {
	for range 50 {
		dp, _ := newFakeDatapath(t, xdptest.Config{}, Options{})
		var begun, done atomic.Int64
		var senders sync.WaitGroup
		for range 4 {
			senders.Go(func() {
				for n := 0; n < 300; n++ {
					begun.Add(1)
					dp.goRun(func() { done.Add(1) })
				}
			})
		}
		dp.Close()
		senders.Wait()
		testenv.Eventually(t, waitLimit, "all of it to be done", func() bool { return done.Load() == begun.Load() })
	}
}
