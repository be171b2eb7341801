// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"context"
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Source is where frames come from. It is called by the goroutine that sends.
type Source interface {
	// Largest is the longest frame, without FCS.
	Largest() (int, error)
	// Ready says how many of the next frames are there, want at most; 0 is the end of them.
	Ready(want uint64) (uint64, error)
	// Put writes the next frame that is ready into a chunk that holds the largest, and returns its length and how many bytes
	// of it are payload. now is when it leaves.
	Put(chunk []byte, now time.Time) (length, payload int)
}

// Scheduled is a Source whose frames are due at times of their own. The rate of the run is not looked at then.
type Scheduled interface {
	Source
	Schedule(start time.Time) Pacer
}

// Pacer says how many frames may leave, as a blast.Pacer does. Take is asked for no more than are ready.
type Pacer interface {
	Take(elapsed time.Duration, want uint64) uint64
	Wait(elapsed time.Duration, n uint64) time.Duration
	End(elapsed time.Duration)
	Forfeited() uint64
}

// sender is one run over one queue in copy mode.
type sender struct {
	c      blast.Config
	q      xdp.Queue
	source Source
	pacer  Pacer
	start  time.Time
	timer  *time.Timer

	free   []int   // chunks that are ours
	chunks []chunk // all
	counts blast.Counts
	bytes  uint64 // of payload in what came back
	drops  uint64 // frames that the device dropped; their completions come, too
	last   time.Time

	intervals  blast.Intervals
	own        *blast.Pacer      // that of a rate, nil where the source has one
	departures *blast.Departures // of it
	blocked    time.Duration
	gone       bool
}

// chunk is a piece of the UMEM, and what is in it.
type chunk struct {
	out   bool   // the kernel has it
	index uint32 // in the TX ring
	size  int    // of the payload
}

// Run sends until the count or the duration is reached, ctx ends, or the device is gone. Batch is the most frames of a
// kick; InFlight is not looked at: all chunks of the queue are.
func Run(ctx context.Context, c blast.Config, q xdp.Queue, source Source) (res blast.Result, err error) {
	chunks := q.UMEM().TxChunks()
	if largest, err := source.Largest(); err != nil || largest > q.UMEM().FrameSize() {
		return res, fmt.Errorf("a frame of %d bytes does not fit one of %d: %w", largest, q.UMEM().FrameSize(), err)
	}
	s := &sender{
		c: c, q: q, source: source, timer: time.NewTimer(time.Hour), chunks: make([]chunk, chunks),
	}
	s.intervals = blast.NewIntervals(&s.c)
	defer s.timer.Stop()
	for i := range chunks {
		s.free = append(s.free, i)
	}
	s.start = time.Now()
	if own, ok := source.(Scheduled); ok {
		s.pacer = own.Schedule(s.start)
	} else {
		bucket := c.Pacer(func(rate blast.Rate) uint64 { return blast.Bucket(rate, c.Batch) })
		s.pacer, s.own, s.departures = &bucket, &bucket, blast.NewDepartures(&c)
	}
	err = s.send(ctx)
	res.Sending = time.Since(s.start)
	if err == nil {
		err = s.drain(ctx)
	}
	res.Elapsed = time.Since(s.start)
	s.intervals.Last(res.Elapsed, s.counts, chunks-len(s.free), blast.Latency{})
	if s.counts.Completed > 0 {
		res.Completing = s.last.Sub(s.start)
	}
	res.Counts, res.Payload, res.ByStatus = s.counts, s.bytes, map[wsk.NTSTATUS]uint64{}
	if s.counts.Failed > 0 {
		res.ByStatus[wsk.STATUS_NETWORK_BUSY] = s.counts.Failed
	}
	res.Unfinished, res.Dead, res.Interrupted = chunks-len(s.free), s.gone, ctx.Err() != nil
	res.Departures = s.departures
	res.Forfeited, res.Blocked = s.pacer.Forfeited(), s.blocked
	if s.own != nil {
		res.LongestBurst, res.Bucket = s.own.Longest(), s.own.Bucket()
	}
	return res, err
}

func (s *sender) send(ctx context.Context) error {
	for {
		elapsed := time.Since(s.start)
		s.report(elapsed)
		over := s.c.Duration > 0 && elapsed >= s.c.Duration
		if over && s.own == nil {
			elapsed = s.c.Duration // what fell due until the end still goes
		}
		for !over || s.c.Rate > 0 {
			n, err := s.submit(elapsed)
			if err != nil {
				return err
			}
			if err := s.kick(); err != nil || s.gone {
				return err
			}
			if n == 0 || !over && time.Since(s.start)-elapsed > time.Millisecond {
				break
			}
		}
		if over = over && (s.own == nil || s.own.Over(elapsed)); over {
			s.pacer.End(elapsed)
		}
		if over || ctx.Err() != nil || s.c.Count > 0 && s.counts.Submitted >= s.c.Count {
			return nil
		}
		if !s.pause(ctx) {
			return nil
		}
	}
}

// submit puts what is due into the ring, a burst at most, and returns how many that were.
func (s *sender) submit(elapsed time.Duration) (int, error) {
	want := uint64(min(s.c.Batch, len(s.free)))
	if s.c.Count > 0 {
		want = min(want, s.c.Count-s.counts.Submitted)
	}
	if want = min(want, uint64(s.q.TX().Free())); want == 0 {
		return 0, nil
	}
	ready, err := s.source.Ready(want)
	if err != nil {
		return 0, err
	}
	n := s.pacer.Take(elapsed, ready)
	if n == 0 {
		return 0, nil
	}
	now := time.Now()
	s.departures.Left(s.own, n, now.Sub(s.start))
	tx, umem := s.q.TX(), s.q.UMEM()
	for range n {
		number := s.free[len(s.free)-1]
		addr := umem.Addr(number)
		length, payload := s.source.Put(umem.Chunk(addr), now)
		index, ok := tx.Put(xdp.Desc{Addr: addr, Len: uint32(length)})
		if !ok {
			panic("frames: a slot that was free is not") // the ring is ours alone
		}
		s.free = s.free[:len(s.free)-1]
		s.chunks[number] = chunk{true, index, payload}
	}
	tx.Submit(uint32(n))
	s.counts.Submitted += n
	return int(n), nil
}

// kick makes the kernel send, and takes back what it is done with.
func (s *sender) kick() error {
	if s.q.TX().Pending() == 0 && len(s.free) == len(s.chunks) {
		return nil
	}
	errno := s.q.Kick()
	switch result := xdp.ClassifyKick(errno); result {
	case xdp.KickDropped:
		s.drops++
	case xdp.KickGone:
		s.gone = true
	case xdp.KickBadDescriptor, xdp.KickFatal, xdp.KickUnserved:
		return fmt.Errorf("the kernel sends nothing more: %w", errno)
	case xdp.KickDone, xdp.KickLimited, xdp.KickLinkDown:
	}
	s.harvest()
	return nil
}

// harvest counts what came back. A frame that the device dropped comes back, too.
func (s *sender) harvest() {
	completion, umem, tx := s.q.Completion(), s.q.UMEM(), s.q.TX()
	first, n := completion.Peek(uint32(completion.Size()))
	for i := range n {
		number, ok := umem.CheckTx(completion.At(first + i))
		if !ok || !s.chunks[number].out {
			continue // none of ours that is on its way
		}
		back := &s.chunks[number]
		tx.Completed(back.index)
		back.out = false
		s.free = append(s.free, number)
		if s.drops > 0 {
			s.drops--
			s.counts.Failed++
			continue
		}
		s.counts.Completed++
		s.bytes += uint64(back.size)
	}
	if n > 0 {
		completion.Release(n)
		s.last = time.Now()
	}
}

// held is how long to wait when the kernel has everything: it wakes nobody for completions.
const held = 100 * time.Microsecond

// pause waits until something is due, or may have come back. It reports false when the run is interrupted.
func (s *sender) pause(ctx context.Context) bool {
	elapsed := time.Since(s.start)
	until := s.intervals.End() - elapsed
	if elapsed < s.c.Duration {
		until = min(until, s.c.Duration-elapsed)
	}
	full := len(s.free) == 0 || s.q.TX().Free() == 0
	wait := s.pacer.Wait(elapsed, 1)
	switch {
	case full:
		wait = held
	case wait == 0:
		return true
	}
	least := blast.SleepGrain
	if s.c.Spin && !full {
		wait, least = wait-blast.SpinTime, 0
	}
	if until = min(until, max(wait, least)); until <= 0 {
		return ctx.Err() == nil
	}
	blast.Nap(ctx, s.timer, until)
	if full {
		s.blocked += time.Since(s.start) - elapsed
	}
	return ctx.Err() == nil
}

// report hands an interval to OnInterval when one is over.
func (s *sender) report(elapsed time.Duration) {
	if elapsed >= s.intervals.End() {
		s.intervals.Cut(elapsed, s.counts, len(s.chunks)-len(s.free), blast.Latency{})
	}
}

// drain waits until everything has come back, for a bounded time, which an interrupt shortens.
func (s *sender) drain(ctx context.Context) error {
	begun := time.Now()
	for len(s.free) < len(s.chunks) && !s.gone {
		if err := s.kick(); err != nil {
			return err
		}
		bound := s.c.Drain
		if ctx.Err() != nil {
			bound = min(bound, blast.InterruptDrain)
		}
		if len(s.free) == len(s.chunks) || time.Since(begun) >= bound {
			break
		}
		s.timer.Reset(held)
		<-s.timer.C
	}
	return nil
}
