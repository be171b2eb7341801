// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// record is a growing list that can be waited on.
type record[T any] struct {
	mu     sync.Mutex
	items  []T
	err    error         // set once, when nothing more can come
	change chan struct{} // closed and replaced at every change
}

func newRecord[T any]() *record[T] { return &record[T]{change: make(chan struct{})} }

func (r *record[T]) add(items ...T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items = append(r.items, items...)
	r.wakeLocked()
}

// end says that nothing more will come, and why.
func (r *record[T]) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
		r.wakeLocked()
	}
}

func (r *record[T]) wakeLocked() {
	close(r.change)
	r.change = make(chan struct{})
}

func (r *record[T]) all() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.items)
}

func (r *record[T]) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items = nil
}

// wait blocks until there are n items and returns all that are there then; with fewer it returns them and an error.
func (r *record[T]) wait(ctx context.Context, what string, n int) ([]T, error) {
	for {
		r.mu.Lock()
		items, err, change := r.items, r.err, r.change
		r.mu.Unlock()
		if len(items) >= n {
			return slices.Clone(items), nil
		}
		if err != nil {
			return slices.Clone(items), fmt.Errorf("wait for %d %s, got %d: %w", n, what, len(items), err)
		}
		select {
		case <-change:
		case <-ctx.Done():
			return slices.Clone(items), fmt.Errorf("wait for %d %s, got %d: %w", n, what, len(items), ctx.Err())
		}
	}
}

// find blocks until an item matches, and returns the first that does.
func (r *record[T]) find(ctx context.Context, what string, match func(T) bool) (T, error) {
	next := 0
	for {
		r.mu.Lock()
		items, err, change := r.items, r.err, r.change
		r.mu.Unlock()
		next = min(next, len(items)) // a reset may have come between
		for ; next < len(items); next++ {
			if match(items[next]) {
				return items[next], nil
			}
		}
		var none T
		if err != nil {
			return none, fmt.Errorf("wait for a matching one of %d %s: %w", len(items), what, err)
		}
		select {
		case <-change:
		case <-ctx.Done():
			return none, fmt.Errorf("wait for a matching one of %d %s: %w", len(items), what, ctx.Err())
		}
	}
}

// pollTick is how often Poll looks: often enough that a test does not get slower, rarely enough that one core is not
// taken away from what it waits for.
const pollTick = 200 * time.Microsecond

// Poll looks at a condition until it holds, fails, or ctx ends. It is for conditions that have no event to wait for;
// the first look comes at once.
func Poll(ctx context.Context, what string, cond func() (bool, error)) error {
	tick := time.NewTicker(pollTick)
	defer tick.Stop()
	for {
		switch ok, err := cond(); {
		case err != nil:
			return fmt.Errorf("wait for %s: %w", what, err)
		case ok:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
}
