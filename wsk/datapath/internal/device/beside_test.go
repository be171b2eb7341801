// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestQueuesFailAlone: that one queue of a device is not to be had, because somebody else has it or for another reason, keeps nobody off the
// others.
func TestQueuesFailAlone(t *testing.T) {
	for name, why := range map[string]error{"busy": unix.EBUSY, "refused": unix.EPERM} {
		t.Run(name, func(t *testing.T) {
			set := newSet(t, fakeRoutes{fakeCard.Name: fakeCard}, nil)
			set.Opts.Queues = 2
			set.Open = func(_ *Device, slot int) (xdp.Queue, error) {
				if slot == 0 {
					return nil, why
				}
				return xdptest.New(xdptest.Config{})
			}
			get := func(serial uint32) (*send.Queue, error) { return set.QueueFor(fakeCard, serial, func() {}) }
			first := func() bool { _, err := get(0); return errors.Is(err, why) }
			testenv.Eventually(t, time.Minute, "the first queue to be missed", first)
			testenv.Eventually(t, time.Minute, "the second queue", func() bool {
				q, err := get(1)
				if err != nil && !errors.Is(err, send.ErrOpening) {
					t.Fatalf("the second queue: %v", err)
				}
				return q != nil
			})
			if !first() {
				t.Error("the first queue is not missed any more, though nothing has changed")
			}
		})
	}
}
