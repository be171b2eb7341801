// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"bytes"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/account"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// run is one run of blast. The sink's mutex guards it until it is over.
type run struct {
	id      uint16
	hello   *announced // nil: nobody has announced it
	account *account.Run
	begun   time.Time

	packets     uint64
	first, last time.Time
	delay       *hdr.Histogram // nil where no clock is shared
	foreign     uint64         // the sink's when it began; its own when it is over

	over  bool
	sent  []uint64
	final account.Counts
}

// Times are recorded from 1 ns to 100 s with two significant digits: a run has one, and there may be many.
func newDelay() *hdr.Histogram { return hdr.New(1, int64(100*time.Second), 2) }

func (r *run) record(ns uint64) {
	// Within the range of the histogram, so that there is no error.
	_ = r.delay.RecordValue(int64(min(max(ns, 1), uint64(100*time.Second))))
}

// counts are those of now, or of the end. The mutex is held.
func (r *run) counts() account.Counts {
	if r.over {
		return r.final
	}
	return r.account.Counts(r.sent)
}

// report is what has become of the run. The mutex is held.
func (r *run) report() peer.Report {
	c := r.counts()
	p := peer.Report{
		Received: c.Received, Lost: c.Lost, Duplicate: c.Duplicate, Reordered: c.Reordered, Extent: c.Extent, Late: c.Late,
		Corrupt: c.Corrupt, Refused: r.account.Refused(), Foreign: r.foreign,
		Balanced:    c.Balanced() && c.Arrived()+r.account.Refused() == r.packets,
		Receiving:   r.last.Sub(r.first).Nanoseconds(),
		ClockShared: r.hello != nil && r.hello.shared,
	}
	if h := r.delay; h != nil && h.TotalCount() > 0 {
		p.Delay = &peer.Delay{
			Count: h.TotalCount(), Min: h.Min(), P50: h.ValueAtPercentile(50), P90: h.ValueAtPercentile(90), P99: h.ValueAtPercentile(99),
			P999: h.ValueAtPercentile(99.9), Max: h.Max(),
		}
	}
	return p
}

// announced is a hello that has been taken.
type announced struct {
	peer.Hello
	shared bool
}

// holds is whether a datagram has the payload that was announced, as far as it was read.
func (a *announced) holds(b []byte, length int) bool {
	b = b[stamp.Size:min(len(b), length)]
	return bytes.HasPrefix(a.Payload, b)
}
