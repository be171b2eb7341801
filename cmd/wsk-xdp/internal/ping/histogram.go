// SPDX-License-Identifier: Apache-2.0

package ping

import (
	"fmt"
	"strings"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Times are recorded from 1 ns to 1000 s with three significant digits.
const (
	longest = int64(1000 * time.Second)
	digits  = 3
)

func newHistogram() *hdr.Histogram { return hdr.New(1, longest, digits) }

func record(h *hdr.Histogram, d time.Duration) {
	// Within the range of the histogram, so that there is no error.
	_ = h.RecordValue(min(max(d.Nanoseconds(), 1), longest))
}

// Times sum up a histogram, in nanoseconds.
type Times struct {
	Count int64 `json:"pings"`
	Min   int64 `json:"min_ns"`
	Mean  int64 `json:"mean_ns"`
	P50   int64 `json:"p50_ns"`
	P90   int64 `json:"p90_ns"`
	P99   int64 `json:"p99_ns"`
	P999  int64 `json:"p99_9_ns"`
	Max   int64 `json:"max_ns"`
}

// summary is nil where nothing was recorded.
func summary(h *hdr.Histogram) *Times {
	if h.TotalCount() == 0 {
		return nil
	}
	q := func(p float64) int64 { return h.ValueAtPercentile(p) }
	return &Times{
		Count: h.TotalCount(), Min: h.Min(), Mean: int64(h.Mean()), P50: q(50), P90: q(90), P99: q(99), P999: q(99.9), Max: h.Max(),
	}
}

// text is the summary in one line of a table.
func (t *Times) text() string {
	ns := units.Nanoseconds
	return fmt.Sprintf("min %s  p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", ns(t.Min), ns(t.P50), ns(t.P90), ns(t.P99), ns(t.P999), ns(t.Max))
}

// Bucket is how many round trips took so long: From and longer, and less than To.
type Bucket struct {
	From  int64  `json:"from_ns"`
	To    int64  `json:"to_ns"`
	Pings uint64 `json:"pings"`
}

// leastBucket is the end of the first bucket. Each is twice as long as the one before it.
const leastBucket = int64(10 * time.Microsecond)

// buckets sorts a histogram into few, from the first to the last that is not empty. It is never nil.
func buckets(h *hdr.Histogram) []Bucket {
	out := []Bucket{}
	next := Bucket{To: leastBucket}
	for _, bar := range h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		for bar.From >= next.To {
			if len(out) > 0 || next.Pings > 0 {
				out = append(out, next)
			}
			next = Bucket{From: next.To, To: 2 * next.To}
		}
		next.Pings += uint64(bar.Count)
	}
	if next.Pings > 0 {
		out = append(out, next)
	}
	return out
}

// picture is the buckets as bars.
func picture(list []Bucket) *output.Table {
	most := uint64(1)
	for _, b := range list {
		most = max(most, b.Pings)
	}
	var t output.Table
	t.Row("from", "to", "", "pings")
	for _, b := range list {
		t.Row(units.Nanoseconds(b.From), units.Nanoseconds(b.To), bar(b.Pings, most), units.Grouped(b.Pings))
	}
	return &t
}

// barCells is how wide the longest bar is, and eighths what its end may look like.
const barCells = 24

var eighths = []rune("▏▎▍▌▋▊▉█")

// bar is n of most as a bar, which is never empty where n is not 0.
func bar(n, most uint64) string {
	if n == 0 {
		return ""
	}
	parts := max(int(float64(n)/float64(most)*barCells*8+0.5), 1)
	text := strings.Repeat("█", parts/8)
	if rest := parts % 8; rest > 0 {
		text += string(eighths[rest-1])
	}
	return text
}
