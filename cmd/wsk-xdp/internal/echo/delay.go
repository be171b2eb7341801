// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// heldAnswers is how many answers may wait for their time: those of half a second at 100,000 a second.
const heldAnswers = 1 << 16

// delayed passes answers on when they have waited for their time, in the order in which they came. A nil one has no delay.
type delayed[T any] struct {
	delay time.Duration
	pass  func(T)
	stop  chan struct{}
	done  chan struct{}
	wake  chan struct{}

	mu   sync.Mutex
	held []held[T]
	head int // the first of held that has not been passed on
}

type held[T any] struct {
	due time.Time
	it  T
}

// newDelayed passes answers to pass, from a goroutine of its own, until close.
func newDelayed[T any](delay time.Duration, pass func(T)) *delayed[T] {
	d := &delayed[T]{delay: delay, pass: pass, stop: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1)}
	go func() {
		defer close(d.done)
		// The thread ends with the goroutine, and what it was told about its timers. Those of the runtime are late by up to a
		// millisecond, which may be more than the delay.
		runtime.LockOSThread()
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
		d.run()
	}()
	return d
}

// put takes an answer to what came at a time. It reports false where there is no room.
func (d *delayed[T]) put(came time.Time, it T) bool {
	d.mu.Lock()
	if len(d.held)-d.head >= heldAnswers {
		d.mu.Unlock()
		return false
	}
	if d.head > 0 && len(d.held) == cap(d.held) { // the room of those that are gone is used again
		n := copy(d.held, d.held[d.head:])
		clear(d.held[n:])
		d.held, d.head = d.held[:n], 0
	}
	d.held = append(d.held, held[T]{came.Add(d.delay), it})
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return true
}

// next is the first answer, or how long it is until its time; wait is 0 where there is none.
func (d *delayed[T]) next(now time.Time) (it T, ok bool, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.head == len(d.held) {
		return it, false, 0
	}
	first := &d.held[d.head]
	if wait = first.due.Sub(now); wait > 0 {
		return it, false, wait
	}
	it = first.it
	*first = held[T]{}
	d.head++
	return it, true, 0
}

// stopGrain is how long a sleep may go on after close.
const stopGrain = 20 * time.Millisecond

func (d *delayed[T]) run() {
	for {
		select {
		case <-d.stop:
			return
		default:
		}
		it, ok, wait := d.next(time.Now())
		switch {
		case ok:
			d.pass(it)
		case wait > 0:
			ts := unix.NsecToTimespec(min(wait, stopGrain).Nanoseconds())
			_ = unix.Nanosleep(&ts, nil) // one that is cut short is looked at again
		default:
			select {
			case <-d.wake:
			case <-d.stop:
			}
		}
	}
}

// close ends it: nothing is passed on any more, but put may still be called. It may be nil.
func (d *delayed[T]) close() {
	if d != nil {
		close(d.stop)
		<-d.done
	}
}

// left is how many answers wait for their time. It may be nil.
func (d *delayed[T]) left() int {
	if d == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.held) - d.head
}
