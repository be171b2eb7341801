// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"sync"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// meter records times between the end of the warm-up and the end of the run. It may be used concurrently.
type meter struct {
	from, until time.Time
	// hopeless is when even a run without a single sample ends.
	hopeless time.Time

	mu   sync.Mutex
	hist *hdr.Histogram
	lost uint64
}

// samplePatience is how much longer than its time a run may take to get its first sample. A process that shares its
// processor can miss all of a short run, and a reply that comes too late is a lost one.
const samplePatience = 10 * time.Second

func newMeter(warmup, duration, patience time.Duration) *meter {
	from := time.Now().Add(warmup)
	until := from.Add(duration)
	// Nanoseconds, at three digits: exact below 2 µs.
	return &meter{from: from, until: until, hopeless: until.Add(patience), hist: hdr.New(1, int64(time.Minute), 3)}
}

// record takes the time between two moments; what ends before the warm-up does is not counted.
func (m *meter) record(begin, end time.Time) {
	if end.Before(m.from) {
		return
	}
	m.mu.Lock()
	_ = m.hist.RecordValue(min(max(int64(end.Sub(begin)), 1), int64(time.Minute)))
	m.mu.Unlock()
}

// lose counts a datagram that never came back.
func (m *meter) lose() {
	if time.Now().Before(m.from) {
		return
	}
	m.mu.Lock()
	m.lost++
	m.mu.Unlock()
}

// over reports whether the run has ended: its time is up and something was measured, or nothing will be.
func (m *meter) over(now time.Time) bool {
	return now.After(m.until) && (now.After(m.hopeless) || m.sampled())
}

func (m *meter) sampled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hist.TotalCount() > 0
}

// percentiles are what is reported of a run, in nanoseconds.
type percentiles struct {
	Samples uint64 `json:"samples"`
	Lost    uint64 `json:"lost"`
	P50     int64  `json:"p50_ns"`
	P90     int64  `json:"p90_ns"`
	P99     int64  `json:"p99_ns"`
	P999    int64  `json:"p999_ns"`
	Max     int64  `json:"max_ns"`
}

func (m *meter) percentiles() percentiles {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.hist
	return percentiles{
		Samples: uint64(h.TotalCount()), Lost: m.lost, P50: h.ValueAtPercentile(50), P90: h.ValueAtPercentile(90),
		P99: h.ValueAtPercentile(99), P999: h.ValueAtPercentile(99.9), Max: h.Max(),
	}
}
