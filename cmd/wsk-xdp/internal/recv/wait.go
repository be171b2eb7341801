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
	// any case.
	For    time.Duration
	Expect uint64
	OneOff bool
	// OnSecond is called about every second.
	OnSecond func(elapsed time.Duration)
}

// stillness is how long nothing has to come until a run that no sender has announced is taken to have ended.
const stillness = 2 * time.Second

// Wait waits until it is over.
func Wait(ctx context.Context, u Until, s *Sink, c *Control) {
	begun := time.Now()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	second := time.Second
	for {
		elapsed := time.Since(begun)
		if u.For > 0 && elapsed >= u.For {
			return
		}
		if elapsed >= second {
			u.OnSecond(elapsed)
			second = elapsed.Truncate(time.Second) + time.Second
		}
		// Who waits for a report gets it.
		if idle := c.Idle(); idle && (u.Expect > 0 && s.Totals().Packets >= u.Expect || u.OneOff && s.over()) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// over is whether there has been a run, and none goes on.
func (s *Sink) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	going := 0
	for _, r := range s.runs {
		if r.hello != nil || time.Since(r.last) < stillness {
			going++
		}
	}
	return going == 0 && len(s.runs)+len(s.ended) > 0
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
	}{{"dup", c.Duplicate}, {"reordered", c.Reordered}, {"late", c.Late}, {"corrupt", c.Corrupt}, {"foreign", t.Foreign}, {"dropped here", sum(e.Drops())}} {
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
