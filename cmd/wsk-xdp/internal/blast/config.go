// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"fmt"
	"math"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Config says how to send.
type Config struct {
	// Rate is how many datagrams a second; 0 is as fast as IRPs come back.
	Rate Rate
	// Steps are rates one after the other. Rate is then their mean, and Duration as long as all of them.
	Steps []Step
	// Burst is how many datagrams fall due at once, at the same rate; 0 and 1: each by itself.
	Burst uint64
	// Spin is whether the sender watches the clock for the last moment before something is due, instead of sleeping.
	Spin bool
	// Count and Duration end the run, whichever comes first; 0 is no limit. Without either it lasts until it is interrupted.
	Count    uint64
	Duration time.Duration
	// Batch is the most datagrams of one IRP.
	Batch int
	// InFlight is the number of IRPs that may be out at once.
	InFlight int
	// Drain bounds the wait for the IRPs that are out at the end; those that remain are then cancelled, and waited
	// for as long again. An interrupt shortens both waits.
	Drain time.Duration
	// Over is asked about a send that failed, once a second at most: whether no other can succeed. nil: after
	// STATUS_FILE_FORCED_CLOSED none can.
	Over func(status wsk.NTSTATUS) bool
	// OnInterval is called about every second from the sending goroutine, and so must return at once. nil: not called.
	OnInterval func(Interval)
}

// Interval is what happened in about a second.
type Interval struct {
	Start, End time.Duration // since the start of the run
	Step       int           // of a schedule, from 1; 0 where there is none
	Counts     Counts        // in this interval
	Total      Counts        // since the start
	InFlight   int           // IRPs
	Latency    Latency
}

// SleepGrain is the grain of pacing: the sender sleeps until a few datagrams are due, because no timer of the system is
// good for less than some 50 µs, and sends what fell due meanwhile at once. What falls due in bucketTime leaves at once after a longer pause, the
// rest of it at twice the rate.
const (
	SleepGrain     = 50 * time.Microsecond
	IntervalLength = time.Second
	bucketTime     = 10 * time.Millisecond
)

// SpinTime is how long before something is due a sender that spins stops sleeping.
const SpinTime = 60 * time.Microsecond

// Bucket is the number of datagrams that may leave at once after a pause.
func Bucket(rate Rate, batch int) uint64 {
	return max(rate.Whole()/uint64(time.Second/bucketTime), uint64(batch), 1)
}

// bucket is that of a rate of the run.
func (c *Config) bucket(rate Rate) uint64 { return Bucket(rate, c.Batch) }

// Pacer is that of a run, with a bucket for each rate.
func (c *Config) Pacer(bucket func(Rate) uint64) Pacer {
	p := NewPacer(c.Rate, bucket(c.Rate))
	if len(c.Steps) > 0 {
		p = c.stepped(bucket)
	}
	p.count = c.Count
	if c.Burst > 1 {
		p.burst = c.Burst
		if c.Duration > 0 {
			p.total = c.due(c.Duration)
		}
	}
	p.until = c.Duration
	p.now.bucket = max(p.now.bucket, c.Burst)
	for i := range p.later {
		p.later[i].bucket = max(p.later[i].bucket, c.Burst)
	}
	p.gate.suit(p.now.rate, p.now.bucket)
	return p
}

// stepped is a pacer of several steps.
func (c *Config) stepped(bucket func(Rate) uint64) Pacer {
	all, last := make([]step, len(c.Steps)), step{}
	for i, s := range c.Steps {
		last.rate, last.bucket = uint64(s.Rate), max(bucket(s.Rate), 1)
		all[i] = last
		last.before = saturated(last.before, Due(s.Rate, s.Length))
		last.start += s.Length
	}
	return Pacer{now: all[0], past: all[:0], later: all[1:]}
}

// end is when a run has to look whether it is over: at its end, and again when nothing more is made up for.
func (c *Config) end(elapsed time.Duration) time.Duration {
	switch {
	case c.Duration == 0:
		return math.MaxInt64
	case elapsed < c.Duration:
		return c.Duration
	}
	return later(c.Duration, makeUp)
}

// After is how long behind the first of a run each datagram falls due, counted from 0: all at once where there is no rate.
func (c Config) After() func(n uint64) time.Duration {
	if c.Rate == 0 {
		return func(uint64) time.Duration { return 0 }
	}
	p := c.Pacer(func(Rate) uint64 { return 1 })
	first := p.at(1)
	return func(n uint64) time.Duration { return p.at(n+1) - first }
}

// due is how many datagrams fall due in a time, one by one.
func (c *Config) due(d time.Duration) uint64 {
	if len(c.Steps) == 0 {
		return Due(c.Rate, d)
	}
	p := c.stepped(func(Rate) uint64 { return 1 })
	return p.due(d)
}

// Requested is how many packets a run asks for, 0 when nothing says.
func Requested(c Config) uint64 {
	byTime := uint64(0)
	if c.Rate > 0 && c.Duration > 0 {
		byTime = c.due(c.Duration)
	}
	if c.Count == 0 || byTime > 0 && byTime < c.Count {
		return byTime
	}
	return c.Count
}

// PacingNote is the honest statement about pacing, empty when there is nothing to state.
func (c *Config) PacingNote() string {
	rate := c.Rate
	for _, s := range c.Steps {
		rate = max(rate, s.Rate)
	}
	switch {
	case rate == 0:
		return ""
	case c.Spin:
		return fmt.Sprintf("  pacing: sleeps end %v before something is due, and a processor spins for the rest; pauses of up to %v are made up for", SpinTime, makeUp)
	}
	note := fmt.Sprintf("  pacing by sleeps of %v or more: what falls due meanwhile leaves as one burst", SleepGrain)
	if perSleep := rate.Whole() / uint64(time.Second/SleepGrain); perSleep > 1 {
		note += fmt.Sprintf(" (about %s packets at this rate)", units.Grouped(perSleep))
	}
	return note + fmt.Sprintf("; pauses of up to %v are made up for", makeUp)
}

// PacingMethod names how the rate is kept.
func (c *Config) PacingMethod() string {
	if c.Spin {
		return "token bucket, spinning"
	}
	return "token bucket, sleeping"
}
