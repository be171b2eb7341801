// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"sync"
	"sync/atomic"
	"time"
)

// resolutions are the neighbours being waited for, and who waits. A wait costs its waiter and no goroutine; one timer serves all, for
// they all last equally long.
type resolutions struct {
	timeout time.Duration
	limit   int         // of waiters
	timer   *time.Timer // nil: nobody ends the waits

	mu     sync.Mutex
	wanted map[neighbourKey]*resolution
	// all waiters, by their end: a ring with this one as its root.
	all    waiter
	count  int
	closed bool
}

// resolution is a neighbour that is wanted. It is over when it is not in wanted any more.
type resolution struct {
	key     neighbourKey
	waiters map[*waiter]struct{} // guarded by resolutions.mu
	// solicited: the kernel has been asked on behalf of this resolution.
	solicited atomic.Bool
	asks      int // again; of the table's goroutine
}

// waiter is somebody who wants to be told. Its links are guarded by resolutions.mu.
type waiter struct {
	done       func([6]byte, error)
	key        neighbourKey
	of         *resolution // nil: it has been told, or has left
	end        time.Time
	prev, next *waiter
}

// join enters a waiter. first is the resolution when this waiter began it and so has to ask.
func (w *resolutions) join(k neighbourKey, x *waiter) (first *resolution, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return nil, ErrClosed
	case w.count >= w.limit:
		return nil, ErrTooManyWaiting
	}
	if w.wanted == nil {
		w.wanted = map[neighbourKey]*resolution{}
		w.all.prev, w.all.next = &w.all, &w.all
	}
	r := w.wanted[k]
	if r == nil {
		r = &resolution{key: k, waiters: map[*waiter]struct{}{}}
		w.wanted[k], first = r, r
	}
	r.waiters[x] = struct{}{}
	x.key, x.of, x.end = k, r, time.Now().Add(w.timeout)
	x.prev, x.next = w.all.prev, &w.all
	x.prev.next, x.next.prev = x, x
	if w.count++; w.count == 1 && w.timer != nil {
		w.timer.Reset(w.timeout)
	}
	return first, nil
}

// leave takes a waiter out and reports whether it was still waiting. The last one of a neighbour takes the resolution along, so that
// the next call asks again.
func (w *resolutions) leave(x *waiter) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x.of == nil {
		return false
	}
	w.removeLocked(x)
	return true
}

func (w *resolutions) removeLocked(x *waiter) {
	r := x.of
	delete(r.waiters, x)
	if len(r.waiters) == 0 && w.wanted[r.key] == r {
		delete(w.wanted, r.key)
	}
	x.prev.next, x.next.prev = x.next, x.prev
	x.of, x.prev, x.next = nil, nil, nil
	w.count--
}

func (w *resolutions) find(k neighbourKey) *resolution {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wanted[k]
}

// on lists what is wanted on an interface, or on any for 0.
func (w *resolutions) on(index int) (list []*resolution) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, r := range w.wanted {
		if index == 0 || k.index == index {
			list = append(list, r)
		}
	}
	return list
}

// finish ends r, unless it has ended (nil has), and tells all who wait for it.
func (w *resolutions) finish(r *resolution, mac [6]byte, err error) {
	if r == nil {
		return
	}
	var told []*waiter
	w.mu.Lock()
	for x := range r.waiters {
		told = append(told, x)
		w.removeLocked(x)
	}
	w.mu.Unlock()
	for _, x := range told {
		x.done(mac, err)
	}
}

// expired takes out the waiters whose time is over and winds the timer for the next one.
func (w *resolutions) expired(now time.Time) (list []*waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.count > 0 {
		x := w.all.next
		if left := x.end.Sub(now); left > 0 {
			w.timer.Reset(left)
			break
		}
		list = append(list, x)
		w.removeLocked(x)
	}
	return list
}

// close ends all waits with an error, and all later ones.
func (w *resolutions) close(err error) {
	w.mu.Lock()
	w.closed = true
	var told []*waiter
	for w.count > 0 {
		told = append(told, w.all.next)
		w.removeLocked(w.all.next)
	}
	w.mu.Unlock()
	for _, x := range told {
		x.done([6]byte{}, err)
	}
}
