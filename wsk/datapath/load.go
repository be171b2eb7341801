// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"runtime"
	"time"
)

// A queue has two gears. Idle or lightly loaded, every send kicks for itself: nothing is faster for one datagram. Under
// load a kick per datagram halves the rate, so the poller takes the kicks over and goes round without a pause, while
// senders only build and publish: a plain loop of single sends then runs at the speed of bursts. The poller
// lets go when it finds nothing to do for a while.
const (
	// A queue is loaded when loadFrames frames were sent in less than loadWindow: 200,000 a second. Below that the poller
	// would spend a processor on saving little. Measured on veth with 2 CPUs, 2026-11: a kick per datagram ends
	// at about 430,000 a second.
	loadFrames = 256
	loadWindow = loadFrames * 5 * time.Microsecond
	// loadQuiet is how long the poller goes round without finding anything before it lets go: a few times the
	// interval at which a loaded sender comes back.
	loadQuiet = 200 * time.Microsecond
	// loadRounds is how many fruitless rounds lie between two looks at the clock.
	loadRounds = 32
)

// loadMeter measures how fast frames are published. kickMu guards it.
type loadMeter struct {
	mark uint32
	at   time.Time
}

// loaded reports whether the queue has become busy enough for the high gear. kickMu is held.
func (q *queue) loaded() bool {
	producer := q.tx.Producer()
	if producer-q.meter.mark < loadFrames {
		return false
	}
	now := time.Now()
	fast := now.Sub(q.meter.at) < loadWindow
	q.meter = loadMeter{producer, now}
	return fast && q.dev.dp.processors > 1 && !q.dev.dp.opts.LowGear
}

// round is one look of the high gear: kick, harvest, complete.
func (q *queue) round() (moved, out bool) {
	q.kickMu.Lock()
	q.again.Store(false)
	q.publishAll()
	moved = q.kick()
	moved = q.harvest() > 0 || moved
	out = q.out
	q.kickMu.Unlock()
	q.done.run(routineBudget)
	return moved, out
}

// spinLoop is the high gear: it kicks and harvests until there has been nothing to do for a while.
func (q *queue) spinLoop() {
	var quiet time.Time
	for idle := 0; ; {
		moved, out := q.round()
		if moved {
			idle = 0
			continue
		}
		if out {
			break
		}
		if idle++; idle%loadRounds == 0 {
			now := time.Now()
			if idle == loadRounds {
				quiet = now
			} else if now.Sub(quiet) > loadQuiet {
				break
			}
		}
		runtime.Gosched()
	}
	// Whoever published before this store and left the kick to us is served by the look that follows; whoever
	// publishes after it sees it and kicks.
	q.poll.spin.Store(false)
}
