// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"fmt"
	"math"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// What a run takes for its rates, its pacing error and its cost to say more about it than about the clock's grain and the
// start of a process.
const (
	leastSending = 100 * time.Millisecond
	leastPackets = 1000 // at a set rate
)

// PacingReport says how well the rate was kept. It is absent for rate max.
type PacingReport struct {
	Method string `json:"method"`
	Asked  uint64 `json:"asked_pps"`
	// Error is the deviation of the mean rate in millionths, negative when too slow; absent from runs that are too short to
	// tell.
	Error *int64 `json:"mean_error_ppm,omitempty"`
	// Burst is the most packets that were due together, so that they left one behind the other, Bucket the most that may be after a pause.
	Burst     uint64 `json:"longest_burst_packets"`
	Bucket    uint64 `json:"bucket_packets"`
	Forfeited uint64 `json:"forfeited_packets"`
	// P50, P99 and Max are how much later than they were due packets were handed over, and Late how many calls that was more than 100 µs;
	// absent where that is not measured (engine xdp).
	P50  *int64  `json:"departure_p50_ns,omitempty"`
	P99  *int64  `json:"departure_p99_ns,omitempty"`
	Max  *int64  `json:"departure_max_ns,omitempty"`
	Late *uint64 `json:"late_starts,omitempty"`
}

// pacingOf is how well a run kept its rate; long is whether that is enough of a run to tell.
func pacingOf(c *Config, res *Result, long bool) *PacingReport {
	r := &PacingReport{
		Method: c.PacingMethod(), Asked: c.Rate.Whole(), Burst: res.LongestBurst, Bucket: res.Bucket, Forfeited: res.Forfeited,
	}
	if long {
		r.Error = new(c.deviation(res.Submitted, res.Sending))
	}
	if d := res.Departures; d != nil && d.times.TotalCount() > 0 {
		r.P50, r.P99, r.Max = new(d.times.ValueAtPercentile(50)), new(d.times.ValueAtPercentile(99)), new(d.times.Max())
		r.Late = &d.late
	}
	return r
}

// deviation is how far n in a time is from what is due then, in millionths.
func (c *Config) deviation(n uint64, d time.Duration) int64 {
	if len(c.Steps) == 0 {
		return deviation(n, d, c.Rate)
	}
	due := c.due(d)
	if due == 0 {
		return 0
	}
	return int64(math.Round((float64(n)/float64(due) - 1) * 1e6))
}

// deviation is how far n in a time is from a rate, in millionths. It is not that of the rounded rate: at ten per
// second, one more is a tenth.
func deviation(n uint64, d time.Duration, rate Rate) int64 {
	if d <= 0 {
		return 0
	}
	return int64(math.Round((float64(n)/d.Seconds()/rate.PerSecond() - 1) * 1e6))
}

// WarmupReport is about what was sent before the run.
type WarmupReport struct {
	Duration  int64  `json:"duration_ns"`
	Submitted uint64 `json:"submitted_packets"`
	Completed uint64 `json:"completed_packets"`
	Failed    uint64 `json:"failed_packets"`
	// ICMPErrors is what came back about them.
	ICMPErrors []icmp.Error `json:"icmp_errors"`
}

// StepReport is about a step of a schedule: the intervals that began in it.
type StepReport struct {
	Step  int    `json:"step"`
	Asked string `json:"rate_asked"`
	// Rate is in whole packets a second, MicroRate in millionths of one.
	Rate      uint64 `json:"rate_pps"`
	MicroRate uint64 `json:"rate_micro_pps"`
	Start     int64  `json:"start_ns"`
	End       int64  `json:"end_ns"`
	Submitted uint64 `json:"submitted_packets"`
	Completed uint64 `json:"completed_packets"`
	Failed    uint64 `json:"failed_packets"`
}

// ScheduleStep is what was asked for.
type ScheduleStep struct {
	Asked     string `json:"rate_asked"`
	MicroRate uint64 `json:"rate_micro_pps"`
	Duration  int64  `json:"duration_ns"`
}

// text is what became of a step.
func (s *StepReport) text() string {
	length := time.Duration(s.End - s.Start)
	text := fmt.Sprintf("%s asked for %v: %s packets submitted, %s completed", s.Asked, length.Round(time.Millisecond), units.Grouped(s.Submitted),
		units.Grouped(s.Completed))
	if length >= leastSending {
		text += ", " + units.PacketRate(float64(s.Completed)/length.Seconds())
	}
	if s.Failed > 0 {
		text += ", " + units.Grouped(s.Failed) + " failed"
	}
	return text
}
