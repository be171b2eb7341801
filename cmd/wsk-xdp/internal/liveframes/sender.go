// SPDX-License-Identifier: Apache-2.0

package liveframes

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// MaxBatch is how many frames the kernel makes before it hands them over, at most.
const MaxBatch = 256

// Options are what a run takes beside what blast.Config says, of which Batch is how many frames the kernel makes at a time.
type Options struct {
	Device Device
	// CPUs are the processors that threads are pinned to, one each; none: one thread, on any.
	CPUs []int
	// Spin is whether the program keeps the rate, and its processor busy; without it, the process sleeps between calls.
	Spin bool
}

// Sender is one run, made ready.
type Sender struct {
	c     blast.Config
	o     Options
	lanes []*lane
	// streams is how many of them have numbers, 0 where there are no stamps.
	streams int
	offset  int64 // of the monotonic clock

	stop      atomic.Bool
	begun     time.Time
	start     uint64 // the same in the kernel's monotonic time
	purse     purse
	intervals blast.Intervals
}

// Open loads the programs of a run. It is called in the network namespace of the device, and belongs to nobody else until Close.
func Open(c blast.Config, p frames.Plan, o Options) (_ *Sender, err error) {
	n := max(len(o.CPUs), 1)
	if err := LanesFit(p.Flows, n); err != nil {
		return nil, err
	}
	s := &Sender{c: c, o: o, offset: monotonicOffset().Nanoseconds()}
	if p.Stamp != blast.StampNone {
		s.streams = int(min(p.Flows, stamp.Streams))
	}
	for i := range n {
		l := &lane{cpu: -1, batch: uint32(min(c.Batch, MaxBatch))}
		if len(o.CPUs) > 0 {
			l.cpu = o.CPUs[i]
		}
		if l.part, err = newPart(p, i, n); err == nil {
			if s.spins() {
				l.part.pace(c.Rate, n, uint64(slack))
			}
			l.program, err = load(l.part, o.Device)
		}
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.lanes = append(s.lanes, l)
	}
	return s, nil
}

// Close takes the programs out of the kernel.
func (s *Sender) Close() (err error) {
	for _, l := range s.lanes {
		err = errors.Join(err, l.program.close())
	}
	return err
}

func (s *Sender) spins() bool { return s.o.Spin && s.c.Rate > 0 }

// Method says how the rate is kept, for the report.
func (s *Sender) Method() string {
	switch {
	case s.spins():
		return "token bucket in the program, spinning"
	case s.singly():
		return "token bucket, sleeping, a call of the kernel for each packet"
	}
	return "token bucket, sleeping between calls of the kernel"
}

// Grain is about how long each of the calls takes that a rate is kept by, during which what falls due waits; 0 where there are none such.
func (s *Sender) Grain() time.Duration {
	if s.spins() || s.singly() || s.c.Rate == 0 {
		return 0
	}
	return callGrain
}

// Run sends until the count or the duration is reached, ctx ends, or the interface is gone. onInterval is blast.Config.OnInterval. It runs
// once.
func (s *Sender) Run(ctx context.Context, onInterval func(blast.Interval)) (res blast.Result, err error) {
	s.c.OnInterval = onInterval
	s.begun = time.Now()
	if s.start, err = kernelTime(s.offset); err != nil {
		return res, err
	}
	s.intervals = blast.NewIntervals(&s.c)
	s.purse = purse{left: s.c.Count, bounded: s.c.Count > 0, pacer: s.c.Pacer(bucket)}
	for i, l := range s.lanes {
		if err := s.prepare(l, uint64(i)); err != nil {
			return res, err
		}
	}
	var running sync.WaitGroup
	errs := make([]error, len(s.lanes))
	for i, l := range s.lanes {
		running.Go(func() {
			if errs[i] = s.send(l, share(s.c.Count, i, len(s.lanes))); errs[i] != nil {
				s.stop.Store(true)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	timeIsUp, watchErr := s.watch(ctx, done)
	err = errors.Join(append(errs, watchErr)...)
	res, sumErr := resultOf(s.lanes)
	s.times(&res)
	s.intervals.Last(res.Elapsed, res.Counts, 0, blast.Latency{})
	res.Interrupted = ctx.Err() != nil
	if timeIsUp && s.c.Rate > 0 {
		res.Sending = s.c.Duration
	}
	return res, errors.Join(err, sumErr)
}

// times enters how long the run took, and how well it kept its rate.
func (s *Sender) times(res *blast.Result) {
	first, last := res.Sending, res.Completing // since the kernel's clock began
	start := time.Duration(s.start)
	res.Completing = max(last-start, 0)
	switch {
	case s.c.Rate == 0: // what the kernel takes to begin is nothing that was sent
		res.Sending = max(last-first, 1)
		res.Completing = res.Sending
	case s.spins():
		res.Sending = max(res.Completing, 1)
	default:
		res.Sending = max(s.purse.last, 1)
	}
	res.Elapsed = time.Since(s.begun)
	res.Forfeited += s.purse.pacer.Forfeited()
	res.LongestBurst, res.Bucket = s.purse.pacer.Longest(), s.purse.pacer.Bucket()
	if s.spins() {
		res.LongestBurst, res.Bucket = 1, max(blast.Due(s.c.Rate, slack), 1)
	}
}

// prepare gives a program what it begins with.
func (s *Sender) prepare(l *lane, i uint64) error {
	q := &l.part.plan
	l.state = wskliveLiveState{Stream: q.Lane, Index: q.First, At: q.Start, Clock: uint64(s.offset), Until: ^uint64(0)}
	if s.c.Count == 0 || share(s.c.Count, int(i), len(s.lanes)) > 0 {
		l.state.Left = 1 // there is something to make
	}
	if l.part.plan.Stamp == uint32(wskliveLiveStampWSKLIVE_PKTGEN) {
		l.state.Clock = uint64(s.begun.UnixNano()) - s.start // from the kernel's monotonic time to the wall's
	}
	l.state.Due = s.start + q.Interval*(i+1)/uint64(len(s.lanes))
	if s.c.Duration > 0 {
		l.state.Until = s.start + uint64(s.c.Duration)
	}
	return l.program.set(&l.state)
}

// send is a lane's: it has frames made until there is no more to make.
func (s *Sender) send(l *lane, share uint64) error {
	leave, err := l.pin()
	defer leave()
	if err != nil {
		return err
	}
	switch {
	case s.c.Rate > 0 && !s.spins():
		return s.sendSleeping(l)
	case s.c.Count > 0 && share == 0:
		return nil
	case share == 0:
		share = ^uint64(0)
	}
	how := whole
	if s.spins() {
		how = endless
	}
	return l.make(share, how, &s.stop)
}

// Sent is how many numbers were given out to each stream, nil where there are none.
func (s *Sender) Sent() ([]uint64, error) {
	if s.streams == 0 {
		return nil, nil
	}
	out := make([]uint64, s.streams)
	for _, l := range s.lanes {
		if err := l.program.sent(out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// singly is whether each packet has a call of its own.
func (s *Sender) singly() bool {
	fastest := s.c.Rate
	for _, step := range s.c.Steps {
		fastest = max(fastest, step.Rate)
	}
	return fastest > 0 && fastest <= blast.PPS(mostSingle) && !s.spins()
}

// bucket is how many packets may leave at once after a pause.
func bucket(rate blast.Rate) uint64 { return max(rate.Whole()/uint64(time.Second/atOnce), 1) }

// sendSleeping has made what is due, and sleeps.
func (s *Sender) sendSleeping(l *lane) error {
	how, grain := whole, callGrain
	if s.singly() {
		how, grain = singles, blast.SleepGrain
	}
	for !s.stop.Load() {
		at := time.Since(s.begun)
		n, wait, over := s.purse.take(at, s.c.Duration)
		if n > 0 {
			if err := l.make(n, how, &s.stop); err != nil || l.state.Gone > 0 {
				return err
			}
		}
		if over {
			return nil
		}
		if wait = max(wait, at+grain-time.Since(s.begun)); at < s.c.Duration {
			wait = min(wait, s.c.Duration-at)
		}
		sleep(wait, &s.stop)
	}
	return nil
}

// watch tells intervals, and ends the run when its time is up, ctx ends, or programs that keep the rate have made everything.
func (s *Sender) watch(ctx context.Context, done <-chan struct{}) (timeIsUp bool, err error) {
	interval := time.NewTimer(s.intervals.End())
	defer interval.Stop()
	var looks <-chan time.Time
	if s.spins() {
		ticker := time.NewTicker(look)
		defer ticker.Stop()
		looks = ticker.C
	}
	var end <-chan time.Time
	if d := s.c.Duration; d > 0 && s.c.Rate == 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		end = timer.C
	}
	for {
		select {
		case <-done:
			return s.c.Duration > 0 && time.Since(s.begun) >= s.c.Duration, err
		case <-interval.C:
			err = s.report(time.Since(s.begun))
			interval.Reset(s.intervals.End() - time.Since(s.begun))
		case <-looks:
			over, lookErr := exhausted(s.lanes, s.offset)
			if err = lookErr; err == nil && !over {
				continue
			}
			s.end(done)
		case <-end:
			s.end(done)
		case <-ctx.Done():
			s.end(done)
		}
		if err != nil {
			s.end(done)
		}
	}
}

// end stops the lanes: a call that is under way ends with its batch.
func (s *Sender) end(done <-chan struct{}) {
	s.stop.Store(true)
	interruptAll(s.lanes, done)
}

// report hands an interval to OnInterval.
func (s *Sender) report(elapsed time.Duration) error {
	now, inFlight, err := countsOf(s.lanes)
	if err == nil {
		s.intervals.Cut(elapsed, now, int(inFlight), blast.Latency{})
	}
	return err
}
