// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/account"
)

// Limits of a run. They bound what takes milliseconds.
const (
	backLimit    = 12 * time.Second
	pendingLimit = 8 * time.Second
	settleLimit  = 3 * time.Second
	closingLimit = 5 * time.Second
	// behindKernel is how much later than the kernel's own datagrams may arrive again.
	behindKernel = 1500 * time.Millisecond
	warmUp       = 100
	burst        = 60
)

// Runner runs faults one after the other.
type Runner struct {
	Seed uint64
	// Log gets the datapath's log.
	Log *slog.Logger

	closing time.Duration // how long what is being closed may take to go
	trace   *account.Trace
	run     uint64
	flows   uint32
}

// NewRunner makes a runner. Where the kernel tells of dropped packets, it listens.
func NewRunner(seed uint64, log *slog.Logger) (*Runner, error) {
	r := &Runner{Seed: seed, Log: log, closing: closingLimit, run: rand.Uint64() | 1}
	trace, err := account.NewTrace(r.run)
	if errors.Is(err, testenv.ErrNotSupported) {
		return r, nil // counters have to do
	}
	r.trace = trace
	return r, err
}

// Close ends the runner.
func (r *Runner) Close() error {
	if r.trace == nil {
		return nil
	}
	return r.trace.Close()
}

// Run runs a fault and gives its account. An error is one of the set-up: the fault did not happen.
func (r *Runner) Run(ctx context.Context, f *Fault) (res Result, err error) {
	start := time.Now()
	res = Result{Fault: f, Back: -1, KernelBack: -1}
	held := testenv.TakeInventory()
	r.flows += 8
	w := &world{fault: f, run: r.run, log: r.Log, rand: rand.New(rand.NewPCG(r.Seed, uint64(r.flows))), extra: account.Counters{}}
	w.plan = account.Plan{Run: r.run, Flow: r.flows, Size: 64, MaxSize: 1400, Rate: 4000, Window: 256}
	if f.plan != nil {
		f.plan(&w.plan)
	}
	if err := w.build(); err != nil {
		return res, errors.Join(fmt.Errorf("%s: %w", f.ID(), err), w.close())
	}
	if err := w.happen(ctx, &res); err != nil {
		res.Wrong = append(res.Wrong, err.Error())
	}
	ev, err := r.evidence(w)
	if err != nil {
		return res, errors.Join(err, w.close())
	}
	res.Verdict = account.Judge(w.main.book, w.main.got, ev)
	res.Longest = w.main.book.LongestWait()
	res.Leaks = w.auditChunks()
	if err := w.close(); err != nil {
		res.Wrong = append(res.Wrong, err.Error())
	}
	res.Leaks = append(res.Leaks, held.Leaks(r.closing)...)
	res.Took = time.Since(start)
	return res, nil
}

func (r *Runner) evidence(w *world) (*account.Evidence, error) {
	if w.fragmenting() {
		wait(1500 * time.Millisecond) // until the kernel has given up what lost a piece
	}
	if err := w.counters.note(w); err != nil {
		return nil, err
	}
	ev := &account.Evidence{Counters: w.counters.evidence()}
	if r.trace != nil {
		var err error
		if ev.Drops, ev.Complete, err = r.trace.Drops(); err != nil {
			return nil, err
		}
	}
	return ev, nil
}

// happen lets datagrams flow, breaks and mends, and looks whether all is well again.
func (w *world) happen(ctx context.Context, res *Result) error {
	stop, err := w.startFlows(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var wrong []error
	if err := w.awaitFirst(); err != nil {
		wrong = append(wrong, err)
	}
	w.countChunks()
	if err := w.fault.do(w); err != nil {
		return fmt.Errorf("the fault itself: %w", err)
	}
	if w.fault.mortal {
		wrong = append(wrong, w.replaceSocket())
	}
	if !w.fault.quiet {
		wrong = append(wrong, w.awaitBack(res))
	}
	wrong = append(wrong, w.look())
	stop()
	w.main.book.AwaitEnd(deadline(pendingLimit))
	w.settle()
	if w.fault.check != nil {
		wrong = append(wrong, w.fault.check(w))
	}
	if !w.fault.quiet && !w.fault.lossy && (!w.fault.remote || w.fault.Dir == Receive) {
		wrong = append(wrong, w.calm(ctx))
	}
	return errors.Join(wrong...)
}

// awaitFirst waits for the first datagrams of both flows.
func (w *world) awaitFirst() error {
	start := time.Now()
	var main, ref time.Duration
	enough := warmUp
	if w.plan.Rate > 0 {
		enough = min(enough, w.plan.Rate/4)
	}
	err := poll(10*time.Second, "the first datagrams", func() bool {
		if main == 0 && w.main.got.Count(w.main.book.Flow) > 0 {
			main = time.Since(start)
		}
		if ref == 0 && w.ref.got.Count(w.ref.book.Flow) > 0 {
			ref = time.Since(start)
		}
		return w.main.got.Count(w.main.book.Flow) >= enough && w.ref.got.Count(w.ref.book.Flow) > 2
	})
	if err == nil && main > ref+testenv.Patience(behindKernel) {
		err = fmt.Errorf("the first datagram arrives %v after the start, that of the kernel's own after %v", main.Round(time.Millisecond),
			ref.Round(time.Millisecond))
	}
	return err
}

// look holds the flow against the kernel's own, as far as the fault says that they are alike.
func (w *world) look() error {
	var errs []error
	if w.fault.steady {
		main, ref := w.main.got.LongestPause(w.main.book.Flow), w.ref.got.LongestPause(w.ref.book.Flow)
		if main > ref+testenv.Patience(behindKernel) {
			errs = append(errs, fmt.Errorf("the datagrams paused for %v, the kernel's own for %v", main.Round(time.Millisecond),
				ref.Round(time.Millisecond)))
		}
	}
	codes := w.main.book.Codes(0)
	if failed := len(codes[account.Refused]) + len(codes[account.Open]); w.fault.harmless && failed > 0 {
		errs = append(errs, fmt.Errorf("sends fail where the kernel's do not: %s", w.codes(0)))
	}
	return errors.Join(errs...)
}

// startFlows starts to send; stop ends that and waits.
func (w *world) startFlows(ctx context.Context) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { w.refSender.Run(ctx, -1) })
	switch {
	case w.sender != nil:
		work.Go(func() { w.sender.Run(ctx, -1) })
	case w.kernelMain != nil:
		work.Go(func() { w.kernelMain.Run(ctx, -1) })
	default:
		if err := w.startChild(w.lab.A.NS, w.childTask); err != nil {
			cancel()
			return nil, err
		}
	}
	return func() {
		cancel()
		work.Wait()
		if w.sender == nil && w.kernelMain == nil {
			_ = w.child.stop()
		}
	}, nil
}

// awaitBack waits until datagrams that were sent after the fault arrive, those of the kernel's own too.
func (w *world) awaitBack(res *Result) error {
	end := time.Now()
	main, ref := uint64(w.main.book.Len()), uint64(w.ref.book.Len())
	_ = poll(backLimit, "", func() bool {
		if res.Back < 0 && w.main.got.Reached(w.main.book.Flow, main) {
			res.Back = time.Since(end)
		}
		if res.KernelBack < 0 && w.ref.got.Reached(w.ref.book.Flow, ref) {
			res.KernelBack = time.Since(end)
		}
		return res.Back >= 0 && (res.KernelBack >= 0 || w.fault.silent)
	})
	time.Sleep(50 * time.Millisecond) // some more, so that the account has a part after the fault
	switch {
	case res.KernelBack < 0 && !w.fault.silent:
		return errors.New("the kernel's own datagrams do not arrive any more: the fault has not ended")
	case res.Back < 0:
		return fmt.Errorf("no datagram arrives any more; since the fault: %s", w.codes(main))
	case res.Back > max(res.KernelBack, 0)+testenv.Patience(behindKernel):
		return fmt.Errorf("datagrams arrive again %v after the fault, the kernel's own %v", res.Back.Round(time.Millisecond),
			res.KernelBack.Round(time.Millisecond))
	}
	return nil
}

// codes tells what became of the datagrams from a number on.
func (w *world) codes(from uint64) string {
	tally := make(map[string]int)
	for fate, codes := range w.main.book.Codes(from) {
		for code, n := range codes {
			if fate == account.Pending {
				tally["pending"] += n
			} else {
				tally[w.main.book.Name(code)] += n
			}
		}
	}
	if len(tally) == 0 {
		return "none was sent"
	}
	return account.Tally(tally)
}

// settle waits until what is on its way has arrived: until all that were sent have, or nothing more comes.
func (w *world) settle() {
	last, since := -1, time.Now()
	_ = poll(settleLimit, "", func() bool {
		n := w.main.got.Count(w.main.book.Flow)
		if n != last {
			last, since = n, time.Now()
		}
		sent := w.main.book.Codes(0)[account.Sent]
		ok := 0
		for _, k := range sent {
			ok += k
		}
		return n >= ok || time.Since(since) > testenv.Patience(300*time.Millisecond)
	})
}

// calm sends a last burst, all of which has to arrive.
func (w *world) calm(ctx context.Context) error {
	from := uint64(w.main.book.Len())
	ctx, cancel := context.WithTimeout(ctx, testenv.Patience(callLimit))
	defer cancel()
	if w.sender != nil {
		w.sender.Run(ctx, burst)
	} else {
		w.kernelMain.Run(ctx, burst)
	}
	w.main.book.AwaitEnd(deadline(pendingLimit))
	arrived := 0
	_ = poll(settleLimit, "", func() bool {
		arrived = 0
		for seq := from; seq < uint64(w.main.book.Len()); seq++ {
			if w.main.got.Has(w.main.book.Flow, seq) {
				arrived++
			}
		}
		return arrived == burst
	})
	if arrived != burst {
		return fmt.Errorf("of the last %d datagrams %d arrived: %s", burst, arrived, w.codes(from))
	}
	return nil
}

// poll looks until a condition holds.
func poll(limit time.Duration, what string, cond func() bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience(limit))
	defer cancel()
	return testenv.Poll(ctx, what, func() (bool, error) { return cond(), nil })
}
