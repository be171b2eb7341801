// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// TestHealth: a queue is ill when it has frames under way and none of them comes back for long enough, and well again
// when one does.
func TestHealth(t *testing.T) {
	info := datapath.Info{Queues: []datapath.QueueInfo{{Interface: "a", State: "up"}}}
	q := &info.Queues[0]
	h := newHealth(func() datapath.Info { return info }, func() {}, time.Second)
	now := time.Now()
	for _, step := range []struct {
		after     time.Duration
		inFlight  int
		completed uint64
		state     string
		ill       bool
	}{
		{0, 0, 0, "up", false},
		{time.Hour, 5, 0, "up", true}, // since it had nothing to do, an hour ago
		{time.Second, 5, 1, "up", false},
		{3 * time.Second, 5, 1, "up", false},
		{time.Second, 5, 1, "up", true},
		{0, 5, 1, "down", false}, // a link that is down moves nothing
		{time.Second, 5, 2, "up", false},
		{time.Hour, 0, 2, "up", false},
	} {
		now = now.Add(step.after)
		q.InFlight, q.Completed, q.State = step.inFlight, step.completed, step.state
		if list := h.complaints(now); (len(list) > 0) != step.ill {
			t.Errorf("%+v: %q", step, list)
		}
	}
}

// TestHealthHangs: a server that does not answer is ill.
func TestHealthHangs(t *testing.T) {
	free := make(chan struct{})
	defer close(free)
	h := newHealth(func() datapath.Info { return datapath.Info{} }, func() { <-free }, time.Second)
	if list := h.complaints(time.Now()); len(list) != 1 {
		t.Errorf("%q", list)
	}
}
