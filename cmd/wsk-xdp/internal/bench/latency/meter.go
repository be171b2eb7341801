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

	mu   sync.Mutex
	hist *hdr.Histogram
	lost uint64
}

func newMeter(warmup, duration time.Duration) *meter {
	from := time.Now().Add(warmup)
	// Nanoseconds, at three digits: exact below 2 µs.
	return &meter{from: from, until: from.Add(duration), hist: hdr.New(1, int64(time.Minute), 3)}
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

// over reports whether the run is.
func (m *meter) over(now time.Time) bool { return now.After(m.until) }

// percentiles are what a run is told by, in nanoseconds.
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
