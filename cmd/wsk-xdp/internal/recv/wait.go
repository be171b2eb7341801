// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"context"
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Until says when a receiver ends.
type Until struct {
	// For is a time, Expect a number of packets, OneOff the end of the first run; zero values are none. The context ends it in
	// any case, and so does an engine that fails.
	For    time.Duration
	Expect uint64
	OneOff bool
	// OnSecond is called about every second.
	OnSecond func(elapsed time.Duration)
}

// Wait waits until it is over.
func Wait(ctx context.Context, u Until, s *Sink, c *Control) {
	begun := time.Now()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	second := time.Second
	for c.engine.Err() == nil {
		elapsed := time.Since(begun)
		if u.For > 0 && elapsed >= u.For {
			return
		}
		if elapsed >= second {
			u.OnSecond(elapsed)
			second = elapsed.Truncate(time.Second) + time.Second
		}
		// A sender gets its report, before and after it has said its end.
		if now := time.Now(); c.Idle() && (u.Expect > 0 && s.Totals().counted() >= u.Expect && !s.awaits(now) || u.OneOff && s.over(now)) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// counted are all but those that warm up.
func (t Totals) counted() uint64 { return t.Packets - t.Warmup }

// over is whether there has been a run, and none goes on. A run of which nothing has come counts only if its sender has
// said so: any connection can begin one.
func (s *Sink) over(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	been := s.gone.runs > 0
	for _, r := range s.ended {
		been = been || r.packets > 0 || r.said
	}
	for _, r := range s.runs {
		been = been || r.packets > 0
		if r.goesOn(now) {
			return false
		}
	}
	return been
}

// awaits is whether a sender is connected whose datagrams come, and will want a report.
func (s *Sink) awaits(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	for _, r := range s.runs {
		if r.served && r.goesOn(now) {
			return true
		}
	}
	return false
}

// Line is the live line: what has come, and since the last one how fast.
type Line struct {
	packets uint64
	at      time.Duration
}

// Next is the line of now.
func (l *Line) Next(elapsed time.Duration, s *Sink, e Engine) string {
	t, c := s.Totals(), s.Counts()
	pps := float64(t.Packets-l.packets) / (elapsed - l.at).Seconds()
	l.packets, l.at = t.Packets, elapsed
	line := fmt.Sprintf("[%5.1fs] rx %s  received %s  lost %s", elapsed.Seconds(), units.PacketRate(pps), units.Grouped(c.Received), units.Grouped(c.Lost))
	for _, more := range []struct {
		name string
		n    uint64
	}{{"dup", c.Duplicate}, {"reordered", c.Reordered}, {"late", c.Late}, {"corrupt", c.Corrupt}, {"refused", c.Refused}, {"foreign", t.Foreign}, {"dropped here", sum(e.Drops())}} {
		if more.n > 0 {
			line += fmt.Sprintf("  %s %s", more.name, units.Grouped(more.n))
		}
	}
	return line
}

func sum(drops map[string]uint64) (n uint64) {
	for _, d := range drops {
		n += d
	}
	return n
}
