// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"math"
	"time"
)

// Intervals cuts a run into intervals: each second, and where a step of a schedule ends. What is left at the end of the run is one, too,
// with its true length, so that all of them together are the run. It is the sender's.
type Intervals struct {
	c      *Config
	before Counts // at the beginning of the interval
	since  time.Duration
	next   time.Duration // when it ends
	step   int           // in which it began, from 0
}

// NewIntervals begins with the run.
func NewIntervals(c *Config) Intervals {
	v := Intervals{c: c}
	v.begin(0)
	return v
}

// begin begins an interval. The last one of a run that has a duration ends with the run.
func (v *Intervals) begin(at time.Duration) {
	v.since, v.step = at, 0
	v.next = at.Truncate(IntervalLength) + IntervalLength
	end := time.Duration(0)
	for i, s := range v.c.Steps {
		if end += s.Length; at < end || i == len(v.c.Steps)-1 {
			v.step = i
			v.next = min(v.next, max(end, at+1))
			break
		}
	}
	if d := v.c.Duration; d > 0 && v.next >= d {
		v.next = math.MaxInt64
	}
}

// End is when the present interval ends.
func (v *Intervals) End() time.Duration { return v.next }

// Cut ends the present interval, tells what was in it, and begins the next.
func (v *Intervals) Cut(elapsed time.Duration, total Counts, inFlight int, latency Latency) {
	i := Interval{
		Start: v.since, End: elapsed, Total: total, InFlight: inFlight, Latency: latency,
		Counts: Counts{
			Submitted: total.Submitted - v.before.Submitted, Completed: total.Completed - v.before.Completed, Failed: total.Failed - v.before.Failed,
		},
	}
	if len(v.c.Steps) > 0 {
		i.Step = v.step + 1
	}
	v.before = total
	v.begin(elapsed)
	if v.c.OnInterval != nil {
		v.c.OnInterval(i)
	}
}

// Last ends the run with what is left of it. Nothing is left where the last interval has just ended.
func (v *Intervals) Last(elapsed time.Duration, total Counts, inFlight int, latency Latency) {
	if elapsed > v.since && (v.since == 0 || total != v.before || elapsed-v.since >= leastLast) {
		v.Cut(elapsed, total, inFlight, latency)
	}
}

// leastLast is how long an interval at the end has to be where nothing happened in it.
const leastLast = 100 * time.Millisecond
