// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"context"
	"fmt"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Config says how to send.
type Config struct {
	// Rate is how many datagrams a second; 0 is as fast as IRPs come back.
	Rate Rate
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
	Counts     Counts        // in this interval
	Total      Counts        // since the start
	InFlight   int           // IRPs
	Latency    Latency
}

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
	// Forfeited datagrams were due and not sent, because the sender was held up longer than the bucket lasts, or no IRP
	// came back until the end of the duration.
	Forfeited uint64
	// LongestBurst is the most datagrams that were sent without a pause between them.
	LongestBurst uint64
	// Blocked is how long the sender waited because every IRP was in flight.
	Blocked     time.Duration
	Interrupted bool
	// Dead says that the run ended early because no send could succeed any more: see Config.Over.
	Dead bool
}

// SleepGrain is the grain of pacing: the sender sleeps until a few datagrams are due, because no timer of the system is
// good for less than some 50 µs, and sends what fell due meanwhile at once. Ten milliseconds are the longest pause that is
// made up for.
const (
	SleepGrain     = 50 * time.Microsecond
	IntervalLength = time.Second
	bucketTime     = 10 * time.Millisecond
)

// InterruptDrain is what remains of a drain after an interrupt: enough for what the kernel has, not for a neighbour.
const InterruptDrain = 500 * time.Millisecond

// Bucket is the number of datagrams that may leave at once after a pause.
func Bucket(rate Rate, batch int) uint64 {
	return max(rate.Whole()/uint64(time.Second/bucketTime), uint64(batch), 1)
}

// runner is one run.
type runner struct {
	c      Config
	sender *Sender
	slots  *slots
	meter  *meter
	pacer  Pacer
	start  time.Time
	timer  *time.Timer

	tick  time.Duration // end of the present interval
	last  Counts        // at its beginning
	since time.Duration
	dead  bool
	asked time.Duration // the end of the interval in which Over was asked

	burst, longest uint64 // packets since the last pause, and the most of that
	blocked        time.Duration
}

// Run sends until the count or the duration is reached, ctx ends, or the socket is dead. Every IRP has come back when
// it returns, unless Result.Unfinished says otherwise.
func Run(ctx context.Context, c Config, sender *Sender) (Result, error) {
	if c.Batch < 1 || c.InFlight < 1 || c.Batch > len(sender.list) {
		return Result{}, fmt.Errorf("blast: batch %d of %d, in flight %d: no run", c.Batch, len(sender.list), c.InFlight)
	}
	r := &runner{
		c: c, sender: sender, slots: newSlots(c.InFlight), meter: newMeter(),
		pacer: NewPacer(c.Rate, Bucket(c.Rate, c.Batch)), timer: time.NewTimer(time.Hour), tick: IntervalLength,
	}
	defer r.timer.Stop()
	r.start = time.Now()
	r.send(ctx)
	res := Result{Sending: time.Since(r.start)}
	r.drain(ctx)
	res.Interrupted = ctx.Err() != nil
	m := r.meter
	res.Elapsed = time.Since(r.start)
	if m.Completed > 0 {
		res.Completing = m.last.Sub(r.start)
	}
	res.Counts, res.Calls, res.Payload, res.ByStatus, res.Latency = m.Counts, m.calls, m.payload, m.byStatus, summary(m.total)
	res.Completions = m.total
	res.Unfinished, res.Dead = r.slots.inFlight, r.dead
	res.Forfeited, res.LongestBurst, res.Blocked = r.pacer.Forfeited(), r.longest, r.blocked
	return res, nil
}

// send is the loop that submits.
func (r *runner) send(ctx context.Context) {
	done := ctx.Done()
	for {
		elapsed := time.Since(r.start)
		r.collect()
		r.report(elapsed)
		over := r.c.Duration > 0 && elapsed >= r.c.Duration
		if over {
			elapsed = r.c.Duration // what fell due until the end still goes
		}
		r.submit(elapsed)
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
		r.meter.Submitted += n
		r.burst += n
		r.longest = max(r.longest, r.burst)
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
	until := r.tick - elapsed
	if r.c.Duration > 0 {
		until = min(until, r.c.Duration-elapsed)
	}
	full := r.slots.idle == nil
	if !full {
		wait := r.pacer.Wait(elapsed, 1)
		if wait == 0 {
			return true
		}
		until = min(until, max(wait, SleepGrain))
	}
	if until <= 0 {
		return true
	}
	r.burst = 0
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
	case r.asked == r.tick:
		return false
	}
	r.asked = r.tick
	return r.c.Over(status)
}

// report hands an interval to OnInterval when one is over.
func (r *runner) report(elapsed time.Duration) {
	if elapsed < r.tick {
		return
	}
	if r.c.OnInterval != nil {
		m := r.meter
		r.c.OnInterval(Interval{
			Start: r.since, End: elapsed, Total: m.Counts, InFlight: r.slots.inFlight, Latency: summary(m.interval),
			Counts: Counts{
				Submitted: m.Submitted - r.last.Submitted, Completed: m.Completed - r.last.Completed, Failed: m.Failed - r.last.Failed,
			},
		})
	}
	r.last, r.since = r.meter.Counts, elapsed
	r.meter.interval.Reset()
	r.tick = elapsed.Truncate(IntervalLength) + IntervalLength
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
