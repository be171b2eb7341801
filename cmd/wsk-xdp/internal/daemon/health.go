// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// answerTime is how long the parts of the daemon may take to answer a question that takes them no time.
const answerTime = time.Second

// health knows whether the daemon does its work: whether its parts answer, and whether queues that have frames under way
// see them come back.
type health struct {
	info  func() datapath.Info
	ask   func() // of the server; returns if it answers
	limit time.Duration

	mu   sync.Mutex
	seen map[queueID]progress
}

type queueID struct {
	iface string
	queue int
}

// progress is when a queue was last seen to move, or to have nothing to do.
type progress struct {
	completed uint64
	at        time.Time
}

// newHealth watches queues. One that has frames under way and stands still for longer than twice the stall timeout has
// been kicked and rebuilt by the datapath, and that was no help.
func newHealth(info func() datapath.Info, ask func(), stall time.Duration) *health {
	return &health{info: info, ask: ask, limit: 2*stall + answerTime, seen: make(map[queueID]progress)}
}

// complaints are what is wrong, none when all is well. Only one call at a time looks; others wait for it.
func (h *health) complaints(now time.Time) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	answers := make(chan datapath.Info, 1)
	go func() {
		h.ask()
		answers <- h.info()
	}()
	timer := time.NewTimer(answerTime)
	defer timer.Stop()
	select {
	case info := <-answers:
		return h.queues(now, &info)
	case <-timer.C:
		return []string{fmt.Sprintf("the server or the datapath has not answered for %v", answerTime)}
	}
}

func (h *health) queues(now time.Time, info *datapath.Info) (list []string) {
	for i := range info.Queues {
		q := &info.Queues[i]
		id := queueID{q.Interface, q.Queue}
		last, known := h.seen[id]
		if !known || q.InFlight == 0 || q.Completed != last.completed || q.State == "down" {
			h.seen[id] = progress{q.Completed, now}
			continue
		}
		if still := now.Sub(last.at); still > h.limit {
			list = append(list, fmt.Sprintf("queue %d of %s: %d frames under way, none has come back for %v",
				q.Queue, q.Interface, q.InFlight, still.Truncate(time.Second)))
		}
	}
	return list
}
