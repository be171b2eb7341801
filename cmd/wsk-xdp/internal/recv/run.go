// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"bytes"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/account"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/tally"
)

// ledger accounts for a run: in this process, or in the kernel and here.
type ledger interface {
	Take(*stamp.Stamp) account.Class
	Refuse()
	Corrupt()
	End(sent []uint64)
	Release()
	Counts() account.Counts
}

// run is one run of blast. The sink's mutex guards it until it is over.
type run struct {
	id      uint16
	hello   *announced // nil: nobody has announced it
	served  bool       // its sender is connected
	said    bool       // its sender has said how much it sent
	account ledger
	kernel  *tally.Run // the same where packets are accounted for in the kernel, else nil
	begun   time.Time

	packets     uint64
	first, last time.Time      // last is begun while nothing has come, and later the end if that is later
	receiving   time.Duration  // from the first datagram to the last before the end, once it is over
	delay       *hdr.Histogram // nil where no clock is shared
	foreign     uint64         // the sink's when it began; its own when it is over

	over      bool
	forgotten bool // by the kernel, where it is accounted for there
}

// How long nothing has to come until a run is taken to have ended: one that no sender is connected for, and one whose
// sender is connected, and may be slow, or may be anybody who sends nothing at all.
const (
	stillness = 2 * time.Second
	patience  = 10 * time.Second
)

// goesOn is whether something of a run has come, and not too long ago. The mutex is held.
func (r *run) goesOn(now time.Time) bool {
	still := now.Sub(r.last)
	return r.packets > 0 && (still < stillness || r.served && still < patience)
}

// Times are recorded from 1 ns to 100 s with two significant digits: a run has one, and there may be many.
func newDelay() *hdr.Histogram { return hdr.New(1, int64(100*time.Second), 2) }

func (r *run) record(ns uint64) {
	// Within the range of the histogram, so that there is no error.
	_ = r.delay.RecordValue(int64(min(max(ns, 1), uint64(100*time.Second))))
}

// took is the time from the first datagram to the last. The mutex is held.
func (r *run) took() time.Duration {
	switch {
	case r.over:
		return r.receiving
	case r.packets == 0:
		return 0
	}
	return r.last.Sub(r.first)
}

// report is what has become of the run. The mutex is held.
func (r *run) report() peer.Report {
	c := r.account.Counts()
	r.timesOfKernel()
	p := peer.Report{
		Received: c.Received, Lost: c.Lost, Duplicate: c.Duplicate, Reordered: c.Reordered, Extent: c.Extent, Late: c.Late,
		Corrupt: c.Corrupt, Refused: c.Refused, Foreign: r.foreign,
		Balanced:    c.Balanced() && c.Arrived() == r.packets,
		Receiving:   r.took().Nanoseconds(),
		ClockShared: r.hello != nil && r.hello.shared,
	}
	if h := r.delay; h != nil && h.TotalCount() > 0 {
		p.Delay = &peer.Delay{
			Count: h.TotalCount(), Min: h.Min(), P50: h.ValueAtPercentile(50), P90: h.ValueAtPercentile(90), P99: h.ValueAtPercentile(99),
			P999: h.ValueAtPercentile(99.9), Max: h.Max(),
		}
		if text, err := h.Encode(hdr.V2CompressedEncodingCookieBase); err == nil { // into memory, without fail
			p.HDR = &peer.HDR{OneWay: string(text)}
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

// progressOfKernel enters how far a run is that is accounted for there. The mutex is held.
func (r *run) progressOfKernel() {
	if r.kernel == nil {
		return
	}
	if packets, first, last := r.kernel.Progress(); packets > 0 {
		r.packets, r.first, r.last = packets, first, last
	}
}

// timesOfKernel enters the times on the way that were measured there. The mutex is held.
func (r *run) timesOfKernel() {
	if r.kernel == nil || r.delay == nil {
		return
	}
	r.delay.Reset()
	r.kernel.Times(func(ns, packets int64) {
		// Within the range of the histogram, so that there is no error.
		_ = r.delay.RecordValues(min(max(ns, 1), int64(100*time.Second)), packets)
	})
}
