// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/account"
)

// Seconds makes intervals of what has come so far. The zero value is ready; it is for one goroutine.
type Seconds struct {
	at     time.Duration
	totals Totals
	counts account.Counts
	drops  uint64
}

// Next is what has come since the last call, until elapsed.
func (s *Seconds) Next(elapsed time.Duration, sink *Sink, e Engine) IntervalReport {
	t, c, drops := sink.Totals(), sink.Counts(), sum(e.Drops())
	since := func(now, before uint64) uint64 { return now - min(before, now) }
	i := IntervalReport{
		Start: s.at.Nanoseconds(), End: elapsed.Nanoseconds(), Packets: since(t.Packets, s.totals.Packets), Bytes: since(t.Bytes, s.totals.Bytes),
		Received: since(c.Received, s.counts.Received), Lost: since(c.Lost, s.counts.Lost), Duplicate: since(c.Duplicate, s.counts.Duplicate),
		Reordered: since(c.Reordered, s.counts.Reordered), Drops: since(drops, s.drops),
	}
	s.at, s.totals, s.counts, s.drops = elapsed, t, c, drops
	return i
}

// Last is what has come behind the last second. ok is whether that is worth an interval: it is the first, or something came, or it is long.
func (s *Seconds) Last(elapsed time.Duration, sink *Sink, e Engine) (i IntervalReport, ok bool) {
	begun := s.at
	i = s.Next(elapsed, sink, e)
	return i, begun == 0 || elapsed-begun >= leastLast || i.Packets+i.Drops > 0
}

// leastLast is how long an interval at the end is where nothing has come in it.
const leastLast = 100 * time.Millisecond
