// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// health knows whether the daemon does its work: whether its parts answer, and whether queues that have frames under way
// see them come back.
type health struct {
	looks asker[look]
	limit time.Duration

	mu   sync.Mutex
	seen map[queueID]progress
}

type queueID struct {
	iface string
	queue int
}

// progress is since when a queue has been seen with frames under way and as many completions.
type progress struct {
	completed uint64
	busy      bool
	since     time.Time
}

// newHealth watches queues. One that has frames under way and stands still for longer than twice the stall timeout has
// been kicked and rebuilt by the datapath, and that was no help.
func newHealth(ask func() look, stall time.Duration) *health {
	return &health{looks: asker[look]{ask: ask}, limit: 2*stall + answerTime, seen: make(map[queueID]progress)}
}

// look is what the parts of the daemon count, and what is wrong: no complaints when all is well. Parts that do not answer
// have counted nothing.
func (h *health) look(now time.Time) (look, []string) {
	l, ok := h.looks.answer()
	if !ok {
		return l, []string{fmt.Sprintf("the server or the datapath has not answered for %v", answerTime)}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return l, h.queues(now, &l.info)
}

func (h *health) queues(now time.Time, info *datapath.Info) (list []string) {
	for i := range info.Queues {
		q := &info.Queues[i]
		id := queueID{q.Interface, q.Queue}
		last := h.seen[id]
		is := progress{q.Completed, q.InFlight != 0 && q.State != "down", now}
		if !is.busy || !last.busy || is.completed != last.completed {
			h.seen[id] = is // what is under way now may have been so for no time at all
			continue
		}
		if still := now.Sub(last.since); still > h.limit {
			list = append(list, fmt.Sprintf("queue %d of %s: %d frames under way, none has come back for %v",
				q.Queue, q.Interface, q.InFlight, still.Truncate(time.Second)))
		}
	}
	return list
}
