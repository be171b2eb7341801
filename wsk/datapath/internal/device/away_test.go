// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestQueueAwayIsNotHadFor: nobody gets a queue to send through that has no socket, and everybody when it has one again.
func TestQueueAwayIsNotHadFor(t *testing.T) {
	set := newSet(t, fakeRoutes{fakeCard.Name: fakeCard}, nil)
	var busy atomic.Bool
	set.Open = func(*Device, int) (xdp.Queue, error) {
		if busy.Load() {
			return nil, unix.EBUSY
		}
		return xdptest.New(xdptest.Config{})
	}
	get := func() (*send.Queue, error) { return set.QueueFor(fakeCard, 0, func() {}) }
	var q *send.Queue
	testenv.Eventually(t, time.Minute, "a queue", func() (open bool) {
		q, _ = get()
		return q != nil
	})
	busy.Store(true)
	send.BreakDown(q, "a test", nil)
	testenv.Eventually(t, time.Minute, "the queue to be away", func() bool {
		_, err := get()
		return errors.Is(err, unix.EBUSY)
	})
	busy.Store(false)
	testenv.Eventually(t, time.Minute, "the queue to be back", func() bool {
		back, err := get()
		return err == nil && back == q
	})
}
