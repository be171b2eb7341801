// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"math/rand/v2"
	"runtime"
	"time"
)

// nag has the one queue of a sender that waits for each of its operations visited by everybody who takes its locks, none of whom
// has anything to do there. In a storm whoever comes next makes up for what the last one forgot. Here nobody comes until the
// operation has ended.
func (w *world) nag(r *rand.Rand) {
	stranger := &source{host: w.rig.dp.senders}
	visits := []func(*queue){
		(*queue).carrierLost,
		(*queue).programTaken,
		(*queue).drive,
		(*queue).runDone,
		(*queue).linkUp,
		func(q *queue) { q.poll.wake() },
		func(q *queue) { q.abort(stranger) },
	}
	if w.rig.dp.senders.lowGear {
		visits = append(visits, func(q *queue) { q.tail = tailState{tails: 1 << 32}; q.stillLoaded(q.look()) })
	} else {
		visits = append(visits, w.shiftUp, w.shiftUp, w.shiftUp)
	}
	for !w.rig.stop.Load() {
		visit, many := visits[r.IntN(len(visits))], 1+r.IntN(100)
		for _, q := range w.rig.dp.devices.known(1).opened() {
			for range many {
				visit(q)
			}
		}
		w.rig.awaitProgress()
	}
}

// shiftUp puts a queue into the high gear, as load does.
func (w *world) shiftUp(q *queue) {
	q.kickMu.Lock()
	if !q.out {
		w.rig.dp.senders.tails.add(q)
	}
	q.unlockKick()
}

// awaitProgress waits for the end of an operation.
func (rig *chaos) awaitProgress() {
	for before := rig.ended.Load(); rig.ended.Load() == before && !rig.stop.Load(); {
		select {
		case <-rig.hopeless:
			return
		case <-time.After(10 * time.Microsecond):
			runtime.Gosched()
		}
	}
}
