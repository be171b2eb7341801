// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"context"
	"fmt"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Result is what a run did.
type Result struct {
	Counts
	Calls    uint64 // IRPs passed
	Payload  uint64 // bytes in the datagrams that completed
	ByStatus map[wsk.NTSTATUS]uint64
	// Sending is the time from the first to the last call, Completing that until the last success, 0 without one, and
	// Elapsed that until the last IRP came back or waiting for it ended.
	Sending, Completing, Elapsed time.Duration
	Latency                      Latency
	// Completions are the latencies in full, nil where nothing measured them.
	Completions *hdr.Histogram
	// Unfinished IRPs were still out when waiting for them ended.
	Unfinished int
	// Forfeited datagrams were due and not sent, because the sender was held up for longer than is made up for, or no IRP
	// came back until the end of the duration.
	Forfeited uint64
	// LongestBurst is the most datagrams that were due together, and so left one behind the other; Bucket the most that may be.
	LongestBurst, Bucket uint64
	// Departures are how late packets were handed over, nil where that was not measured.
	Departures *Departures
	// Blocked is how long the sender waited because every IRP was in flight.
	Blocked     time.Duration
	Interrupted bool
	// Dead says that the run ended early because no send could succeed any more: see Config.Over.
	Dead bool
}

// InterruptDrain is what remains of a drain after an interrupt: enough for what the kernel has, not for a neighbour.
const InterruptDrain = 500 * time.Millisecond

// runner is one run.
type runner struct {
	c      Config
	ctx    context.Context
	sender *Sender
	slots  *slots
	meter  *meter
	pacer  Pacer
	start  time.Time
	timer  *time.Timer

	intervals  Intervals
	departures *Departures
	dead       bool
	asked      time.Duration // the end of the interval in which Over was asked

	blocked time.Duration
}

// Run sends until the count or the duration is reached, ctx ends, or the socket is dead. Every IRP has come back when
// it returns, unless Result.Unfinished says otherwise.
func Run(ctx context.Context, c Config, sender *Sender) (Result, error) {
	if c.Batch < 1 || c.InFlight < 1 || c.Batch > len(sender.list) {
		return Result{}, fmt.Errorf("blast: batch %d of %d, in flight %d: no run", c.Batch, len(sender.list), c.InFlight)
	}
	r := &runner{
		c: c, ctx: ctx, sender: sender, slots: newSlots(c.InFlight), meter: newMeter(),
		pacer: c.Pacer(c.bucket), timer: time.NewTimer(time.Hour), departures: NewDepartures(&c),
	}
	r.intervals = NewIntervals(&r.c)
	defer r.timer.Stop()
	r.start = time.Now()
	r.send(ctx)
	res := Result{Sending: time.Since(r.start)}
	r.drain(ctx)
	res.Interrupted = ctx.Err() != nil
	m := r.meter
	res.Elapsed = time.Since(r.start)
	r.intervals.Last(res.Elapsed, m.Counts, r.slots.inFlight, summary(m.interval))
	if m.Completed > 0 {
		res.Completing = m.last.Sub(r.start)
	}
	res.Counts, res.Calls, res.Payload, res.ByStatus, res.Latency = m.Counts, m.calls, m.payload, m.byStatus, summary(m.total)
	res.Completions = m.total
	res.Unfinished, res.Dead = r.slots.inFlight, r.dead
	res.Departures = r.departures
	res.Forfeited, res.LongestBurst, res.Bucket, res.Blocked = r.pacer.Forfeited(), r.pacer.Longest(), r.pacer.Bucket(), r.blocked
	return res, nil
}

// send is the loop that submits.
func (r *runner) send(ctx context.Context) {
	done := ctx.Done()
	for {
		elapsed := time.Since(r.start)
		r.collect()
		r.report(elapsed)
		r.submit(elapsed)
		over := r.pacer.Over(elapsed)
		if over && !r.dead {
			r.pacer.End(elapsed)
		}
		if over || r.dead || r.c.Count > 0 && r.meter.Submitted >= r.c.Count {
			return
		}
		select {
		case <-done:
			return
		default:
		}
		if !r.pause(done) {
			return
		}
	}
}

// submit sends what is due, as far as there are idle slots.
func (r *runner) submit(elapsed time.Duration) {
	for r.slots.idle != nil && !r.dead {
		want := uint64(r.c.Batch)
		if r.c.Count > 0 {
			want = min(want, r.c.Count-r.meter.Submitted)
		}
		n := r.pacer.Take(elapsed, want)
		if n == 0 {
			return
		}
		s := r.slots.take()
		s.count, s.start = n, time.Now()
		r.departures.Left(&r.pacer, n, s.start.Sub(r.start))
		r.meter.Submitted += n
		r.meter.calls++
		r.sender.send(s, int(n))
		if r.c.Rate == 0 && r.meter.calls%64 == 0 {
			return // look at the clock and at what came back
		}
	}
}

// pause waits until something can be sent. It reports false when the run is interrupted.
func (r *runner) pause(done <-chan struct{}) bool {
	elapsed := time.Since(r.start)
	until := min(r.intervals.End(), r.c.end(elapsed)) - elapsed
	full := r.slots.idle == nil
	if !full {
		wait := r.pacer.Wait(elapsed, 1)
		if wait == 0 {
			return true
		}
		if r.c.Spin {
			if until = min(until, wait-SpinTime); until > 0 {
				Nap(r.ctx, r.timer, until)
			}
			return r.ctx.Err() == nil
		}
		until = min(until, max(wait, SleepGrain))
	}
	if until <= 0 {
		return true
	}
	r.timer.Reset(until)
	wake := r.slots.back.wake
	if !full {
		wake = nil // completions can wait until datagrams are due
	}
	select {
	case <-wake:
	case <-r.timer.C:
	case <-done:
		return false
	}
	if full {
		r.blocked += time.Since(r.start) - elapsed
	}
	return true
}

func (r *runner) collect() {
	r.slots.collect(func(s *slot) {
		r.meter.count(s)
		r.dead = r.dead || s.status != wsk.STATUS_SUCCESS && r.isOver(s.status)
	})
}

func (r *runner) isOver(status wsk.NTSTATUS) bool {
	switch {
	case r.c.Over == nil:
		return status == wsk.STATUS_FILE_FORCED_CLOSED
	case r.asked == r.intervals.End():
		return false
	}
	r.asked = r.intervals.End()
	return r.c.Over(status)
}

// report hands an interval to OnInterval when one is over.
func (r *runner) report(elapsed time.Duration) {
	if elapsed < r.intervals.End() {
		return
	}
	r.intervals.Cut(elapsed, r.meter.Counts, r.slots.inFlight, summary(r.meter.interval))
	r.meter.interval.Reset()
}

// drain waits for the IRPs that are out, and cancels those that do not come. An interrupt, before or meanwhile,
// shortens each wait.
func (r *runner) drain(ctx context.Context) {
	for _, last := range []bool{false, true} {
		done := ctx.Done()
		r.timer.Reset(r.c.Drain)
		for r.collect(); r.slots.inFlight > 0; r.collect() {
			select {
			case <-r.slots.back.wake:
				continue
			case <-done:
				done = nil
				r.timer.Reset(min(r.c.Drain, InterruptDrain))
				continue
			case <-r.timer.C:
			}
			break
		}
		if r.collect(); r.slots.inFlight == 0 || last {
			return
		}
		r.slots.cancel()
	}
}
