// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
)

// nag has the one queue of a sender that waits for each of its operations visited by everybody who takes its locks, none of whom
// has anything to do there. In a storm whoever comes next makes up for what the last one forgot. Here nobody comes until the
// operation has ended.
func (w *world) nag(r *rand.Rand) {
	visits := send.Visits(w.rig.dp.senders)
	if w.rig.dp.senders.LowGear {
		visits = append(visits, send.ShiftDown)
	} else {
		visits = append(visits, send.ShiftUp, send.ShiftUp, send.ShiftUp)
	}
	for !w.rig.stop.Load() {
		visit, many := visits[r.IntN(len(visits))], 1+r.IntN(100)
		for _, q := range w.rig.dp.devices.Known(1).Opened() {
			for range many {
				visit(q)
			}
		}
		w.rig.awaitProgress()
	}
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
