// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// lateStart is how much later than its time a packet leaves that is counted as late: twice what a sender sleeps at least.
const lateStart = 2 * SleepGrain

// Departures are how much later than they were due packets were handed over, one figure for each call. It is the sender's; nil measures nothing.
type Departures struct {
	times *hdr.Histogram
	late  uint64
}

// NewDepartures measures those of a run with a rate, and nothing where there is none.
func NewDepartures(c *Config) *Departures {
	if c.Rate == 0 {
		return nil
	}
	return &Departures{times: newHistogram()}
}

// Left counts n packets that the pacer has given out, and that leave at a time since the start.
func (d *Departures) Left(p *Pacer, n uint64, at time.Duration) {
	if d == nil || n == 0 {
		return
	}
	late := at - p.at(p.taken+p.forfeited-n+1)
	if late > lateStart {
		d.late++
	}
	_ = d.times.RecordValue(min(max(late.Nanoseconds(), 1), latencyMax)) // within the range of the histogram
}
