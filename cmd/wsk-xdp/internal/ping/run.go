// SPDX-License-Identifier: Apache-2.0

package ping

import (
	"context"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// Result is what a run did.
type Result struct {
	Counts
	// Due is how many pings there were by the schedule until the end. Each is answered, late, lost, failed or unsent.
	Due, Lost, Failed, Unsent uint64
	ByCause                   map[string]uint64 // failed
	Sending, Elapsed          time.Duration
	Interrupted               bool
	// Over says that the run ended early because nothing could be sent any more.
	Over bool
}

const (
	intervalLength = time.Second
	// interruptGrain is how long a sleep may go on after an interrupt.
	interruptGrain = 20 * time.Millisecond
	// lookAgain is how often it is looked whether the last answers are there.
	lookAgain = 5 * time.Millisecond
	// forever is how long there may be no room in a run that nothing ends.
	forever = 365 * 24 * time.Hour
	// interruptDrain is how long they are waited for after an interrupt.
	interruptDrain = 500 * time.Millisecond
)

// Run sends by the schedule of the tally, and waits for the last answers as long as they are not late. onInterval is
// called about every second, from a goroutine of its own.
func Run(ctx context.Context, t *Tally, link Link, onInterval func(Interval)) Result {
	start := time.Now()
	t.begin(start)
	ticking, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ticking)
		t.tick(stop, onInterval)
	}()
	var over bool
	var wait sync.WaitGroup
	// The thread ends with the goroutine, and what it was told about its timers.
	wait.Go(func() {
		runtime.LockOSThread()
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // a timer that is late is told
		over = t.send(ctx, start, link)
	})
	wait.Wait()
	r := Result{Sending: time.Since(start), Over: over}
	t.drain(ctx, link)
	close(stop)
	<-ticking
	t.last(time.Now(), onInterval)
	r.Elapsed, r.Interrupted = time.Since(start), ctx.Err() != nil
	r.Due = t.schedule.Total()
	if r.Interrupted || r.Due == 0 {
		r.Due = t.schedule.Due(r.Sending)
	}
	r.settle(t.now(), link)
	return r
}

// settle says what became of the pings of which nothing has come back.
func (r *Result) settle(c Counts, link Link) {
	r.Counts, r.ByCause = c, link.Failed()
	r.Due = max(r.Due, c.Sent)
	missing := c.missing()
	r.Failed = min(sumOf(r.ByCause), missing)
	stuck := min(uint64(link.UnderWay()), missing-r.Failed)
	r.Lost = missing - r.Failed - stuck
	r.Unsent = r.Due - c.Sent + stuck
}

// send is the loop that sends. It reports whether it ended because the link is over.
func (t *Tally) send(ctx context.Context, start time.Time, link Link) (over bool) {
	total, last := t.schedule.Total(), start.Add(t.schedule.End())
	var b [stamp.Size]byte
	for number := uint64(0); total == 0 || number < total; number++ {
		if !sleepUntil(ctx, start.Add(t.schedule.At(number))) {
			return false
		}
		if link.Over() {
			return true
		}
		longest := forever
		if total > 0 {
			longest = max(time.Until(last), 0) + t.patience
		}
		if !link.Ready(ctx, longest) {
			return false
		}
		t.sends(number, time.Now(), b[:]) // how late it is includes the wait for room
		link.Send(b[:])
	}
	return false
}

// sleepUntil sleeps on a timer of the system: those of the runtime are late by up to a millisecond. It reports false where
// ctx has ended.
func sleepUntil(ctx context.Context, at time.Time) bool {
	for ctx.Err() == nil {
		d := time.Until(at)
		if d <= 0 {
			return true
		}
		ts := unix.NsecToTimespec(min(d, interruptGrain).Nanoseconds())
		_ = unix.Nanosleep(&ts, nil) // one that is cut short goes on
	}
	return false
}

// drain waits until every ping has its answer, or until what is missing is late.
func (t *Tally) drain(ctx context.Context, link Link) {
	done := ctx.Done()
	end := time.NewTimer(t.patience)
	defer end.Stop()
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for {
		if c := t.now(); c.missing() <= sumOf(link.Failed()) {
			return
		}
		select {
		case <-look.C:
		case <-end.C:
			return
		case <-done:
			done = nil
			end.Reset(min(t.patience, interruptDrain))
		}
	}
}

// tick tells about intervals until stop is closed.
func (t *Tally) tick(stop <-chan struct{}, onInterval func(Interval)) {
	ticker := time.NewTicker(intervalLength)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			onInterval(t.interval(now))
		case <-stop:
			return
		}
	}
}
