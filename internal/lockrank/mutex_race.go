// SPDX-License-Identifier: Apache-2.0

//go:build race

package lockrank

import (
	"slices"
	"sync"
)

// A Mutex is a mutual exclusion lock of the rank that R names. The zero value is unlocked. It must not be copied after
// first use.
type Mutex[R Ranked] struct{ mu sync.Mutex }

// Lock locks m. It panics when m is not to be taken after a lock that is held.
func (m *Mutex[R]) Lock() {
	var r R
	holdingOf(self()).mayTake(&m.mu, r.Rank())
	m.mu.Lock()
	take(&m.mu, r.Rank())
}

// TryLock locks m if nobody holds it and says whether it has.
func (m *Mutex[R]) TryLock() bool {
	var r R
	if !m.mu.TryLock() {
		return false
	}
	take(&m.mu, r.Rank())
	return true
}

// Unlock unlocks m. It panics when the calling goroutine is not the one that locked it.
func (m *Mutex[R]) Unlock() {
	var r R
	drop(&m.mu, r.Rank())
	m.mu.Unlock()
}

// AssertHeld says that the calling goroutine holds m.
func (m *Mutex[R]) AssertHeld() {
	var r R
	if !holdingOf(self()).has(&m.mu) {
		panic("lockrank: " + r.Rank().name + " is not held by the caller of a function that wants it held")
	}
}

// Ranked is a type whose only use is to name a rank as a type parameter. Its zero value must be ready.
type Ranked interface{ Rank() *Rank }

// A Rank is a lock's place in the order.
type Rank struct {
	name  string
	over  Act
	after []*Rank // all, not just the nearest
}

// New makes a rank. Locks of it may be held over the acts given and no others, and may be taken while locks of the
// ranks in after are held, and of those after which these are taken, and no others. It is meant for package variables.
func New(name string, over Act, after ...*Rank) *Rank {
	r := &Rank{name: name, over: over}
	for _, a := range after {
		for _, b := range append([]*Rank{a}, a.after...) {
			if !slices.Contains(r.after, b) {
				r.after = append(r.after, b)
			}
		}
	}
	return r
}

// isAfter says whether a lock of rank r may be taken while one of rank other is held.
//
//go:norace
func (r *Rank) isAfter(other *Rank) bool {
	for _, a := range r.after {
		if a == other {
			return true
		}
	}
	return false
}

// AssertMay says that what follows is done under no lock that is not to be held over it. What says what that is, for
// the message.
func AssertMay(act Act, what string) {
	if h := holdingOf(self()); h != nil {
		h.mayDo(act, what)
	}
}

// AssertNoneHeld says that the calling goroutine holds no lock with a rank, whatever it may be held over: what follows
// may do anything, such as call back in. What says what that is, for the message.
func AssertNoneHeld(what string) {
	if h := holdingOf(self()); h != nil && h.count() > 0 {
		panic("lockrank: " + what + ": no lock is to be held, but" + h.String())
	}
}
