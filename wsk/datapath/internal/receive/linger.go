// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"runtime"
	"time"
)

// To sleep and to be woken costs the receiver a microsecond or two, and whoever wakes it, on veth the sender, about half of one for
// each frame. Where the next frame comes in less than that the goroutine looks again for a moment before it sleeps.
const (
	// LingerFrames within less than LingerWindow, 100,000 a second, make it linger.
	LingerFrames = 64
	LingerWindow = LingerFrames * 10 * time.Microsecond
	// lingerTime is how long it looks: twice the mean distance of frames at that rate.
	lingerTime = 20 * time.Microsecond
	// lingerPause is the turns of an empty loop between two looks, so that the producer of the ring is not robbed of its line all the time.
	lingerPause = 200
)

// LingerMeter measures how fast frames arrive. It belongs to the goroutine of the socket.
type LingerMeter struct {
	Frames, Mark uint64
	At           time.Time
	On           bool
}

// Worthwhile reports whether the next frame is likely to come soon. It is asked when the ring is empty, and looks at the clock when
// enough frames have come to tell.
func (m *LingerMeter) Worthwhile(clock func() time.Time) bool {
	if n := m.Frames - m.Mark; n >= LingerFrames {
		now := clock()
		m.On = now.Sub(m.At) < time.Duration(n)*LingerWindow/LingerFrames
		m.Mark, m.At = m.Frames, now
	}
	return m.On
}

// Linger looks for frames for a moment and reports whether there are any, or the socket was stopped.
func (s *Socket) Linger() bool {
	if !s.Meter.Worthwhile(time.Now) {
		return false
	}
	single := s.Queue.Intake.Hub.Processors == 1
	for end := time.Now().Add(lingerTime); ; {
		if s.ready() { // once at least, should the processor have been elsewhere meanwhile
			return true
		}
		if !time.Now().Before(end) {
			return false
		}
		if single {
			runtime.Gosched() // others need this processor
		} else {
			for range lingerPause {
			}
		}
	}
}
