// SPDX-License-Identifier: Apache-2.0

package send

import "time"

// A queue has two gears. Idle or lightly loaded, every send kicks for itself: nothing is faster for one datagram. Under
// load a kick per datagram halves the rate. Then senders only build, and the one whose frame fills a burst publishes and
// kicks for all; a plain loop of single sends so runs at the speed of bursts, and on the processor that has the frames
// in its cache, where handing the kicks to another thread costs more than it takes over (0.09 µs a frame on veth). A
// burst that does not fill is the matter of the tail watcher (tailwatch.go).
const (
	// A queue is loaded when loadFrames frames were sent in less than loadWindow, 200,000 a second; or would have been but for the
	// kicks, if it took no more than loadLongest. A kick for each may be what keeps senders below that rate, where each frame is of
	// another of thousands of sockets, whose memory no cache has.
	loadFrames  = 256
	loadWindow  = loadFrames * 5 * time.Microsecond
	loadLongest = 4 * loadWindow
	// loadBurst is how many frames make a burst. It is the default budget of a kick: more is two kicks.
	loadBurst = 64
	// A client that waits for each send before the next is as fast as load in the low gear, and would be slowed by the other. It
	// shows by its tails: when more than one frame in loadTails was one, the queue stays in the low gear for
	// loadHoldoff.
	loadTails   = 16
	loadHoldoff = 200 * time.Millisecond
)

// loadMeter measures how fast frames are published. kickMu guards it.
type loadMeter struct {
	mark    uint32
	at      time.Time
	holdoff time.Time // not loaded before

	kicks uint32        // since mark
	kick  time.Duration // what one takes at least, lately; of the first after each mark
}

// isFast reports whether frames are published fast enough for the high gear. producer is the end of the TX ring.
func (m *loadMeter) isFast(producer uint32) bool {
	if producer-m.mark < loadFrames {
		return false
	}
	now := time.Now()
	took := now.Sub(m.at)
	fast := took < loadWindow || took < loadLongest && took-time.Duration(m.kicks)*m.kick < loadWindow
	fast = fast && now.After(m.holdoff)
	m.mark, m.at, m.kicks = producer, now, 0
	return fast
}

// beginKick is called before a kick, and endKick with its result after it.
func (m *loadMeter) beginKick() (began time.Time) {
	if m.kicks++; m.kicks == 1 {
		began = time.Now()
	}
	return began
}

func (m *loadMeter) endKick(began time.Time) {
	if !began.IsZero() {
		m.note(time.Since(began))
	}
}

// note takes what a kick took. Some are interrupted, so only those that take less than the others count, and slowly those that
// take more.
func (m *loadMeter) note(took time.Duration) {
	if m.kick == 0 || took < m.kick {
		m.kick = took
		return
	}
	m.kick = min(took, m.kick+m.kick/8+1)
}
