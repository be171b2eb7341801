// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Latencies are recorded from 1 ns to 100 s with three significant digits.
const (
	latencyMax    = int64(100 * time.Second)
	latencyDigits = 3
)

func newHistogram() *hdr.Histogram { return hdr.New(1, latencyMax, latencyDigits) }

// Counts are datagrams by what became of them.
type Counts struct {
	Submitted uint64 // passed to the provider
	Completed uint64 // IRPs that ended in success
	Failed    uint64 // IRPs that ended otherwise; of a burst that failed all datagrams count
}

// meter counts what comes back. It is the runner's.
type meter struct {
	Counts
	calls    uint64 // IRPs passed
	payload  uint64 // bytes in what completed
	byStatus map[wsk.NTSTATUS]uint64
	total    *hdr.Histogram
	interval *hdr.Histogram
	last     time.Time // the latest success
}

func newMeter() *meter {
	return &meter{byStatus: make(map[wsk.NTSTATUS]uint64), total: newHistogram(), interval: newHistogram()}
}

// count takes a slot that came back. Only successes have a latency: how long a failure took means something else.
func (m *meter) count(s *slot) {
	if s.status != wsk.STATUS_SUCCESS {
		m.Failed += s.count
		m.byStatus[s.status] += s.count
		return
	}
	m.Completed += s.count
	m.payload += s.bytes
	if s.end.After(m.last) {
		m.last = s.end
	}
	ns := min(max(s.end.Sub(s.start).Nanoseconds(), 1), latencyMax)
	// Within the range of the histogram, so that there is no error.
	_ = m.total.RecordValue(ns)
	_ = m.interval.RecordValue(ns)
}

// Latency is a summary of completion latencies, from the call to the completion routine, in nanoseconds. One per IRP.
type Latency struct {
	Count int64 `json:"irps"`
	Min   int64 `json:"min_ns"`
	Mean  int64 `json:"mean_ns"`
	P50   int64 `json:"p50_ns"`
	P90   int64 `json:"p90_ns"`
	P99   int64 `json:"p99_ns"`
	P999  int64 `json:"p99_9_ns"`
	Max   int64 `json:"max_ns"`
}

func summary(h *hdr.Histogram) Latency {
	if h.TotalCount() == 0 {
		return Latency{}
	}
	q := func(p float64) int64 { return h.ValueAtPercentile(p) }
	return Latency{
		Count: h.TotalCount(), Min: h.Min(), Mean: int64(h.Mean()), P50: q(50), P90: q(90), P99: q(99), P999: q(99.9), Max: h.Max(),
	}
}
