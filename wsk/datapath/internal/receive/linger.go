// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"runtime"
	"time"
)

// To sleep and to be woken costs the receiver a microsecond or two, and whoever wakes it, on veth the sender, about
// half of one for each frame. Where the next frame comes in less than that the goroutine looks again for a moment
// before it sleeps.
const (
	// lingerFrames within less than lingerWindow, 100,000 a second, make it linger.
	lingerFrames = 64
	lingerWindow = lingerFrames * 10 * time.Microsecond
	// lingerTime is how long it looks: twice the mean distance of frames at that rate.
	lingerTime = 20 * time.Microsecond
	// lingerPause is the turns of an empty loop between two looks, so that the kernel, which writes the ring, is not
	// robbed of its cache line all the time.
	lingerPause = 200
)

// lingerMeter measures how fast frames come. It belongs to the goroutine of a receiver.
type lingerMeter struct {
	frames uint64    // so far
	mark   uint64    // of them, when they were counted last
	at     time.Time // that moment
	on     bool      // they came fast then
}

// worthwhile reports whether the next frame is likely to come soon. It is asked when the ring is empty, and looks at
// the clock when enough frames have come to tell.
func (m *lingerMeter) worthwhile(clock func() time.Time) bool {
	if n := m.frames - m.mark; n >= lingerFrames {
		now := clock()
		m.on = now.Sub(m.at) < time.Duration(n)*lingerWindow/lingerFrames
		m.mark, m.at = m.frames, now
	}
	return m.on
}

// linger asks for a moment whether there are frames, if they are likely to come, and reports whether ready said so.
// single says that others need this processor.
func (m *lingerMeter) linger(ready func() bool, single bool) bool {
	if !m.worthwhile(time.Now) {
		return false
	}
	for end := time.Now().Add(lingerTime); ; {
		if ready() { // once at least, should the processor have been elsewhere meanwhile
			return true
		}
		if !time.Now().Before(end) {
			return false
		}
		if single {
			runtime.Gosched()
		} else {
			for range lingerPause {
			}
		}
	}
}
