// SPDX-License-Identifier: Apache-2.0

package ping

import (
	"bytes"
	"sync"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/account"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// Bounds of the window in which numbers are told apart. It is larger than what falls due until an answer is late.
const (
	leastWindow = 1 << 16
	mostWindow  = 1 << 24
)

// stall is how late a ping has to leave for its sender to have stalled: no timer is so bad.
const stall = 10 * time.Millisecond

// Counts are what became of the pings, and what else came. Each ping that was sent is answered, late or missing.
type Counts struct {
	// Sent is how many were passed to the link. Answered is how many first answers came in time, Late how many later than
	// that, which are not lost.
	Sent, Answered, Late uint64
	// Duplicate answers came again; Reordered ones came behind that of a later ping, by Extent places at most.
	Duplicate, Reordered, Extent uint64
	// Corrupt answers are not what was sent, Foreign datagrams none of this run.
	Corrupt, Foreign uint64
	// Stalled is how many pings left much later than they were due; Worst is the one that was latest, and when it was due.
	Stalled      uint64
	Worst, Since time.Duration
}

// missing is how many pings nothing has come back for.
func (c *Counts) missing() uint64 { return c.Sent - min(c.Answered+c.Late, c.Sent) }

// Tally is what is known of the pings of a run. Its methods may be called concurrently.
type Tally struct {
	schedule Schedule
	patience time.Duration // what takes longer is late
	run      uint16
	body     []byte // what is sent, except for the stamp
	clock    stamp.Clock

	mu     sync.Mutex
	start  time.Time // zero until it begins
	stream *account.Stream
	counts Counts
	// Times from when a ping was due to its answer, and from the call that sent it; and how late it was sent.
	total, fromSend, departure *hdr.Histogram

	second secondOf
}

// secondOf is what has happened since the last interval.
type secondOf struct {
	began  time.Duration
	counts Counts // at its beginning
	times  *hdr.Histogram
}

// NewTally makes one for pings with this body, which begins with room for a stamp.
func NewTally(s Schedule, patience time.Duration, run uint16, body []byte, clock stamp.Clock) *Tally {
	window := leastWindow
	for need := 2 * s.Rate.PerSecond() * patience.Seconds(); float64(window) < need && window < mostWindow; {
		window *= 2
	}
	return &Tally{
		schedule: s, patience: patience, run: run, body: body, clock: clock, stream: account.NewStream(window),
		total: newHistogram(), fromSend: newHistogram(), departure: newHistogram(), second: secondOf{times: newHistogram()},
	}
}

// begin starts the clock of the schedule. What comes before that is foreign.
func (t *Tally) begin(start time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.start = start
}

// sends takes note that the ping leaves now, and writes its stamp.
func (t *Tally) sends(number uint64, now time.Time, b []byte) {
	stamp.Stamp{Run: t.run, Sequence: number & stamp.Mask, Time: t.clock.At(now)}.PutPing(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Sent++
	due := t.schedule.At(number)
	late := now.Sub(t.start) - due
	record(t.departure, late)
	if late >= stall {
		t.counts.Stalled++
		if late > t.counts.Worst {
			t.counts.Worst, t.counts.Since = late, due
		}
	}
}

// Take takes a datagram that came at a time: what was read of it, and its length.
func (t *Tally) Take(b []byte, length int, now time.Time) {
	s, ok := stamp.ParseAnswer(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !ok || s.Run != t.run || t.start.IsZero() {
		t.counts.Foreign++
		return
	}
	// Numbers begin with 0, so that what is above was never sent.
	if length != len(t.body) || s.Stream != 0 || s.Sequence >= t.counts.Sent || !bytes.Equal(b[stamp.Size:], t.body[stamp.Size:len(b)]) {
		t.counts.Corrupt++
		return
	}
	switch t.stream.Take(s.Sequence) {
	case account.Received:
		took := now.Sub(t.start) - t.schedule.At(s.Sequence)
		record(t.total, took)
		record(t.second.times, took)
		record(t.fromSend, time.Duration(stamp.Since(t.clock.At(now), s.Time)))
		if took > t.patience {
			t.counts.Late++
		} else {
			t.counts.Answered++
		}
	case account.Duplicate:
		t.counts.Duplicate++
	case account.Late: // behind the window, where it is not known whether it came before
		t.counts.Late++
	default:
		t.counts.Corrupt++
	}
}

// foreign counts a datagram that is not of this run.
func (t *Tally) foreign() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Foreign++
}

// now is what is known so far.
func (t *Tally) now() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sum()
}

func (t *Tally) sum() Counts {
	c, s := t.counts, t.stream.Counts()
	c.Reordered, c.Extent = s.Reordered, s.Extent
	return c
}

// Interval is what happened in about a second. Answered includes what came late.
type Interval struct {
	Start, End     time.Duration
	Sent, Answered uint64
	Total          Counts
	Times          *Times // nil where nothing came back
}

// last tells what is left behind the last second, unless that is nothing.
func (t *Tally) last(now time.Time, onInterval func(Interval)) {
	const least = 100 * time.Millisecond // of an interval in which nothing happened
	if i := t.interval(now); i.Start == 0 || i.End-i.Start >= least || i.Sent+i.Answered > 0 {
		onInterval(i)
	}
}

// interval ends the present one.
func (t *Tally) interval(now time.Time) Interval {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, before := t.sum(), t.second.counts
	i := Interval{
		Start: t.second.began, End: now.Sub(t.start), Sent: c.Sent - before.Sent,
		Answered: c.Answered + c.Late - before.Answered - before.Late, Total: c, Times: summary(t.second.times),
	}
	t.second.began, t.second.counts = i.End, c
	t.second.times.Reset()
	return i
}
