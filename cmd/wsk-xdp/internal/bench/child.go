// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
)

// event is a line that a child writes.
type event struct {
	// Event is "sending" when the first burst is about to go, "done" at the end.
	Event   string          `json:"event"`
	Granted json.RawMessage `json:"granted,omitempty"`
	// Sent is the number of datagrams handed over, Failed the number of those that the engine knows did not leave.
	Sent   uint64 `json:"sent"`
	Failed uint64 `json:"failed"`
	// Syscalls are those of the engine; null: it can't count them.
	Syscalls *uint64 `json:"syscalls"`
}

const (
	eventSending = "sending"
	eventDone    = "done"
)

// Child is the whole program of a child process: it reads a job from stdin and sends until stdin ends, which also
// happens when the parent is gone.
func Child(ctx context.Context, stdin io.Reader, stdout io.Writer) (err error) {
	var j job
	out, end, err := proc.Serve(stdin, stdout, &j)
	if err != nil {
		return err
	}
	ctx, interrupt := context.WithCancel(ctx)
	defer interrupt()
	var stop atomic.Bool
	go func() {
		<-end
		stop.Store(true)
		interrupt() // what is being opened
	}()
	if j.Daemon != "" {
		return serve(ctx, j.Daemon)
	}
	e := find(j.Engine)
	if e == nil || len(j.Targets) == 0 || j.Queues < 1 {
		return fmt.Errorf("job for engine %q with %d targets and %d queues makes no sense", j.Engine, len(j.Targets), j.Queues)
	}
	r, err := e.open(ctx, &j)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	granted, err := json.Marshal(r.granted())
	if err != nil {
		return err
	}
	if err := out.Encode(event{Event: eventSending, Granted: granted}); err != nil {
		return err
	}
	done := event{Event: eventDone}
	before := r.syscalls()
	if done.Sent, err = sendAll(r.lanes, j.Pin, &stop); err != nil {
		return err
	}
	if n := r.syscalls() - before; !r.uncounted {
		done.Syscalls = &n
	}
	if r.drain != nil {
		r.drain()
	}
	if r.failed != nil {
		done.Failed = r.failed()
	}
	return out.Encode(done)
}

// childReport is the first and the last event of a child that has ended.
func childReport(s *proc.Process) (begun, done event, ok bool) {
	events := s.Events()
	if len(events) < 2 {
		return begun, done, false
	}
	ok = json.Unmarshal(events[0], &begun) == nil && json.Unmarshal(events[len(events)-1], &done) == nil
	return begun, done, ok && done.Event == eventDone
}

func (r *rig) syscalls() (n uint64) {
	for _, l := range r.lanes {
		n += l.syscalls()
	}
	return n
}

// sendAll runs every lane until stop is set or one fails.
func sendAll(lanes []lane, pin []int, stop *atomic.Bool) (uint64, error) {
	sent := make([]uint64, len(lanes))
	errs := make([]error, len(lanes))
	var wg sync.WaitGroup
	for i, l := range lanes {
		wg.Go(func() {
			if len(pin) > 0 {
				// The thread ends with the goroutine, and with it the affinity.
				runtime.LockOSThread()
				if errs[i] = pinThread(pin[i%len(pin)]); errs[i] != nil {
					stop.Store(true)
				}
			}
			for !stop.Load() {
				n, err := guarded(l)
				sent[i] += uint64(n)
				if err != nil {
					errs[i] = err
					stop.Store(true)
				}
			}
		})
	}
	wg.Wait()
	var total uint64
	for _, n := range sent {
		total += n
	}
	return total, errors.Join(errs...)
}

func pinThread(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	return nil
}

// guarded is a burst that turns a panic of a rival's library into an error.
func guarded(l lane) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return l.burst()
}
