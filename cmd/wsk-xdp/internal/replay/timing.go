// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Gaps are recorded from 1 ns to an hour, with three significant digits; longer ones count as an hour.
const (
	longestGap = int64(time.Hour)
	gapDigits  = 3
)

// timing records the times between frames, as they were captured and as they left, and by how much they left too late.
// When a frame leaves is when it is handed to the kernel; frames of one burst leave at the same time.
type timing struct {
	start time.Time // zero: nothing was due at any time
	last  time.Time
	due   time.Duration

	asked, reached, late *hdr.Histogram
}

func newTiming() *timing {
	return &timing{
		asked: hdr.New(1, longestGap, gapDigits), reached: hdr.New(1, longestGap, gapDigits), late: hdr.New(1, longestGap, gapDigits),
	}
}

func (t *timing) add(now time.Time, due time.Duration) {
	if !t.last.IsZero() {
		record(t.reached, now.Sub(t.last))
		record(t.asked, due-t.due)
	}
	if !t.start.IsZero() {
		record(t.late, now.Sub(t.start)-due)
	}
	t.last, t.due = now, due
}

// record enters a time. It is within the range, so that there is no error.
func record(h *hdr.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Nanoseconds(), 0), longestGap))
}

// GapsReport is how the times between frames were kept.
type GapsReport struct {
	// Asked are the gaps of the file, where the frames leave at the times of it, and those of the rate, all the same, where there is
	// one; Late is by how much they left after the times of the file.
	Asked *Quantiles `json:"asked,omitempty"`
	// Reached are the gaps at the calls that handed the frames to the kernel.
	Reached Quantiles  `json:"reached"`
	Late    *Quantiles `json:"late,omitempty"`
}

// Quantiles are of times in nanoseconds.
type Quantiles struct {
	P50 int64 `json:"p50_ns"`
	P99 int64 `json:"p99_ns"`
	Max int64 `json:"max_ns"`
}

func quantiles(h *hdr.Histogram) Quantiles {
	return Quantiles{h.ValueAtQuantile(50), h.ValueAtQuantile(99), h.Max()}
}

// report is what was recorded, nil where there were not two frames.
func (t *timing) report() *GapsReport {
	if t.reached.TotalCount() == 0 {
		return nil
	}
	g := &GapsReport{Reached: quantiles(t.reached)}
	if !t.start.IsZero() {
		asked, late := quantiles(t.asked), quantiles(t.late)
		g.Asked, g.Late = &asked, &late
	}
	return g
}
