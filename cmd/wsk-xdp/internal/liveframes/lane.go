// SPDX-License-Identifier: Apache-2.0

package liveframes

import (
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// lane is one thread that has the kernel make frames, and the program that they go through. Its flows are its own.
type lane struct {
	part    *part
	program *program
	cpu     int // -1: any
	batch   uint32

	// thread is that of a lane that runs, 0 before and after.
	thread atomic.Int32
	// state is the program's between two calls. It is the lane's.
	state wskliveLiveState
}

// pin binds the goroutine to its thread, and that to the processor of the lane. What it returns ends that.
func (l *lane) pin() (func(), error) {
	runtime.LockOSThread()
	if l.cpu >= 0 {
		var set unix.CPUSet
		set.Set(l.cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return func() {}, fmt.Errorf("pin a thread to processor %d: %w", l.cpu, err)
		}
	}
	l.thread.Store(int32(unix.Gettid()))
	return func() {
		l.thread.Store(0)
		if l.cpu < 0 {
			runtime.UnlockOSThread() // one that was pinned ends with its goroutine
		}
	}, nil
}

// interrupt makes a call that is under way end with its batch. A lane that is about to begin one is not reached.
func (l *lane) interrupt() {
	if thread := l.thread.Load(); thread != 0 {
		// What the runtime sends to its own threads, and so expects (os/signal, "Default behavior of signals in Go programs").
		_ = unix.Tgkill(unix.Getpid(), int(thread), unix.SIGURG) // a thread that is gone has ended its call
	}
}

// calls is how frames are asked for.
type calls uint8

const (
	whole   calls = iota // all that are left in one call
	singles              // a call for each
	endless              // one call, which ends when it is interrupted: the program says which of its copies become frames
)

// idle is how many calls in a row may make nothing.
const idle = 100

// make has n more frames made, and reads how far the program is then. It makes fewer if stop says so, or the interface is gone.
func (l *lane) make(n uint64, how calls, stop *atomic.Bool) error {
	l.state.Left = n
	if err := l.program.set(&l.state); err != nil {
		return err
	}
	for vain := 0; !stop.Load(); vain++ {
		made := l.state.Made
		if err := l.call(how, stop); err != nil {
			return err
		}
		var err error
		if l.state, err = l.program.state(); err != nil {
			return err
		}
		switch {
		case l.state.Unmade > 0:
			return fmt.Errorf("live frames: the program can't write a packet of %d bytes into a copy, which is a mistake in it", len(l.part.frame))
		case l.state.Left == 0 || l.state.Gone > 0:
			return nil
		case l.state.Made > made || how == endless:
			vain = 0
		case vain == idle:
			return fmt.Errorf("live frames: %d calls made none of the frames that they were to make", idle)
		}
	}
	return nil
}

// call makes what is left, or some of it.
func (l *lane) call(how calls, stop *atomic.Bool) error {
	if how != singles {
		repeat := uint32(math.MaxUint32)
		if how == whole {
			repeat = uint32(min(l.state.Left, math.MaxUint32))
		}
		return l.program.run(l.part.frame, repeat, l.batch)
	}
	for n := l.state.Left; n > 0 && !stop.Load(); n-- {
		if err := l.program.run(l.part.frame, 1, 1); err != nil {
			return err
		}
	}
	return nil
}

// kernelTime is the kernel's monotonic clock, which programs read; offset is what this process's is ahead of it.
func kernelTime(offset int64) (uint64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0, fmt.Errorf("read the monotonic clock: %w", err)
	}
	return uint64(ts.Nano() - offset), nil
}

// interruptAll ends the calls of lanes that have been told to stop, until all have.
func interruptAll(lanes []*lane, done <-chan struct{}) {
	again := time.NewTicker(time.Millisecond) // a lane may be about to begin a call
	defer again.Stop()
	for {
		for _, l := range lanes {
			l.interrupt()
		}
		select {
		case <-done:
			return
		case <-again.C:
		}
	}
}

// exhausted is whether programs that keep the rate have made all that they should.
func exhausted(lanes []*lane, offset int64) (bool, error) {
	for _, l := range lanes {
		t, err := l.program.state()
		if err != nil {
			return false, err
		}
		now, err := kernelTime(offset)
		if err != nil {
			return false, err
		}
		if t.Left > 0 && !(t.Due > t.Until && now > t.Until) {
			return false, nil
		}
	}
	return true, nil
}
