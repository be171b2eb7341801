// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"context"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Lane sends by system calls. It is called by one goroutine.
type Lane interface {
	// Send sends up to n of the next packets, and looks at what has become of those before. now is when they leave.
	Send(n uint64, now time.Time) (Outcome, error)
	// InFlight is how many packets the kernel has and has not said to be done with.
	InFlight() int
}

// Outcome is what a call has come to.
type Outcome struct {
	Counts
	Payload uint64       // bytes in what completed
	Status  wsk.NTSTATUS // of what failed
	// Full says that the kernel has no room now; what was not submitted goes later.
	Full bool
	// Timed says that what completed was completed by this call.
	Timed bool
}

// held is how long to wait when the kernel has no room.
const held = 100 * time.Microsecond

// caller is one run.
type caller struct {
	c     Config
	lane  Lane
	meter *meter
	pacer Pacer
	start time.Time
	timer *time.Timer
	owed  uint64 // taken from the pacer, and not submitted yet

	intervals  Intervals
	departures *Departures

	blocked time.Duration
}

// RunCalls sends until the count or the duration is reached, or ctx ends. Batch is the most packets of a call; InFlight is not
// looked at.
func RunCalls(ctx context.Context, c Config, lane Lane) (res Result, err error) {
	r := &caller{c: c, lane: lane, meter: newMeter(), pacer: c.Pacer(c.bucket), timer: time.NewTimer(time.Hour), departures: NewDepartures(&c)}
	r.intervals = NewIntervals(&r.c)
	defer r.timer.Stop()
	r.start = time.Now()
	err = r.send(ctx)
	res.Sending = time.Since(r.start)
	if err == nil {
		err = r.drain(ctx)
	}
	res.Elapsed = time.Since(r.start)
	m := r.meter
	r.intervals.Last(res.Elapsed, m.Counts, lane.InFlight(), summary(m.interval))
	if m.Completed > 0 {
		res.Completing = m.last.Sub(r.start)
	}
	res.Counts, res.Calls, res.Payload, res.ByStatus, res.Latency = m.Counts, m.calls, m.payload, m.byStatus, summary(m.total)
	res.Completions, res.Unfinished, res.Interrupted = m.total, lane.InFlight(), ctx.Err() != nil
	res.Departures = r.departures
	res.Forfeited, res.LongestBurst, res.Bucket, res.Blocked = r.pacer.Forfeited()+r.owed, r.pacer.Longest(), r.pacer.Bucket(), r.blocked
	return res, err
}

func (r *caller) send(ctx context.Context) error {
	for {
		elapsed := time.Since(r.start)
		r.report(elapsed)
		over := r.c.Duration > 0 && elapsed >= r.c.Duration // what fell due until then still goes
		full, more := false, !over || r.c.Rate > 0
		var err error
		for more && !full {
			if more, full, err = r.submit(elapsed); err != nil {
				return err
			}
			if !over && time.Since(r.start)-elapsed > time.Millisecond {
				break
			}
		}
		late := over && time.Since(r.start) >= r.c.Duration+r.c.Drain
		if late || !full && r.pacer.Over(elapsed) {
			r.pacer.End(elapsed)
			return nil
		}
		if ctx.Err() != nil || r.c.Count > 0 && r.meter.Submitted >= r.c.Count {
			return nil
		}
		if !r.pause(ctx, full) {
			return nil
		}
	}
}

// submit makes a call for what is due. more is whether that may not have been all, full whether the kernel has no room.
func (r *caller) submit(elapsed time.Duration) (more, full bool, err error) {
	if r.owed == 0 {
		want := uint64(r.c.Batch)
		if r.c.Count > 0 {
			want = min(want, r.c.Count-r.meter.Submitted)
		}
		r.owed = r.pacer.Take(elapsed, want)
		r.departures.Left(&r.pacer, r.owed, time.Since(r.start))
	}
	if r.owed == 0 {
		return false, false, nil
	}
	out, err := r.call(r.owed)
	r.owed -= out.Submitted
	return true, out.Full, err
}

// call makes a call and counts what it came to.
func (r *caller) call(n uint64) (Outcome, error) {
	m, begun := r.meter, time.Now()
	out, err := r.lane.Send(n, begun)
	m.calls++
	m.Submitted += out.Submitted
	m.Completed += out.Completed
	m.Failed += out.Failed
	m.payload += out.Payload
	if out.Failed > 0 {
		m.byStatus[out.Status] += out.Failed
	}
	if out.Completed > 0 {
		m.last = time.Now()
	}
	if out.Completed > 0 && out.Timed {
		ns := min(max(m.last.Sub(begun).Nanoseconds(), 1), latencyMax)
		_ = m.total.RecordValue(ns) // within the range of the histogram
		_ = m.interval.RecordValue(ns)
	}
	return out, err
}

// pause waits until something is due, or the kernel may have room. It reports false when the run is interrupted.
func (r *caller) pause(ctx context.Context, full bool) bool {
	elapsed := time.Since(r.start)
	until, wait := r.intervals.End()-elapsed, held
	if !full {
		if wait = r.pacer.Wait(elapsed, 1); wait == 0 {
			return ctx.Err() == nil
		}
	}
	if r.c.Duration > 0 && elapsed < r.c.Duration {
		until = min(until, r.c.Duration-elapsed)
	}
	least := SleepGrain
	if r.c.Spin && !full {
		wait, least = wait-SpinTime, 0
	}
	if until = min(until, max(wait, least)); until <= 0 {
		return ctx.Err() == nil
	}
	Nap(ctx, r.timer, until)
	if full {
		r.blocked += time.Since(r.start) - elapsed
	}
	return ctx.Err() == nil
}

// report hands an interval to OnInterval when one is over.
func (r *caller) report(elapsed time.Duration) {
	if elapsed < r.intervals.End() {
		return
	}
	r.intervals.Cut(elapsed, r.meter.Counts, r.lane.InFlight(), summary(r.meter.interval))
	r.meter.interval.Reset()
}

// drain waits until the kernel is done with everything, for a bounded time, which an interrupt shortens.
func (r *caller) drain(ctx context.Context) error {
	begun := time.Now()
	for r.lane.InFlight() > 0 {
		if _, err := r.call(0); err != nil {
			return err
		}
		bound := r.c.Drain
		if ctx.Err() != nil {
			bound = min(bound, InterruptDrain)
		}
		if r.lane.InFlight() == 0 || time.Since(begun) >= bound {
			break
		}
		r.timer.Reset(held)
		<-r.timer.C
	}
	return nil
}
