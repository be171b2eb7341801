// SPDX-License-Identifier: Apache-2.0

//go:build race

package lockrank

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// A holding is what one goroutine holds. Only that goroutine touches it, but for owner.
//
// The race detector must see none of this. If it did, every lock would order each goroutine before the next that uses
// the same part of the table, and true races would go unseen. So its synchronisation is switched off around the atomic
// operations, and what reads and writes holdings is marked norace, which keeps it out of line, too.
type holding struct {
	owner atomic.Uintptr // the goroutine; never given up, for the runtime uses its descriptors again
	n     int
	locks [maxHeld]held
}

// held is one lock, and the line that took it.
type held struct {
	mu   *sync.Mutex
	rank *Rank
	line [1]uintptr
}

const (
	maxHeld = 16
	// tableSize bounds the goroutines at one time whose locks are known, and maxProbes what it costs to find one. A
	// goroutine that finds no place is not checked.
	tableSize = 1 << 13
	maxProbes = 1 << 9
)

var table [tableSize]holding

// holdingOf finds what a goroutine holds; nil, if it has never held anything.
//
//go:norace
func holdingOf(g uintptr) *holding {
	runtime.RaceDisable()
	defer runtime.RaceEnable()
	for i := range uintptr(maxProbes) {
		h := &table[(placeOf(g)+i)%tableSize]
		switch h.owner.Load() {
		case g:
			return h
		case 0:
			return nil
		}
	}
	return nil
}

// claim is holdingOf for a goroutine that is about to hold something; nil if there is no room.
//
//go:norace
func claim(g uintptr) *holding {
	runtime.RaceDisable()
	defer runtime.RaceEnable()
	for i := range uintptr(maxProbes) {
		h := &table[(placeOf(g)+i)%tableSize]
		if owner := h.owner.Load(); owner == g || owner == 0 && h.owner.CompareAndSwap(0, g) {
			return h
		}
	}
	return nil
}

// placeOf spreads addresses, whose low bits are all the same, by a multiplication (Knuth's, with the golden ratio).
//
//go:norace
func placeOf(g uintptr) uintptr { return uintptr(uint64(g) * 0x9e3779b97f4a7c15 >> 40) }

//go:norace
func take(mu *sync.Mutex, rank *Rank) {
	h := claim(self())
	if h == nil {
		return
	}
	if h.n == maxHeld {
		panic("lockrank: too many locks: " + rank.name + " is taken, and" + h.String())
	}
	l := &h.locks[h.n]
	l.mu, l.rank = mu, rank
	runtime.Callers(3, l.line[:])
	h.n++
}

//go:norace
func drop(mu *sync.Mutex, rank *Rank) {
	g := self()
	h := holdingOf(g)
	if h != nil {
		for i := h.n - 1; i >= 0; i-- {
			if h.locks[i].mu == mu {
				for ; i < h.n-1; i++ {
					h.locks[i] = h.locks[i+1]
				}
				h.n--
				h.locks[h.n] = held{}
				return
			}
		}
	}
	if h == nil && claim(g) == nil {
		return // a goroutine that is not checked
	}
	panic("lockrank: " + rank.name + " is unlocked by a goroutine that does not hold it")
}

//go:norace
func (h *holding) mayTake(mu *sync.Mutex, rank *Rank) {
	if h == nil {
		return
	}
	for i := range h.n {
		l := &h.locks[i]
		if l.mu == mu {
			panic("lockrank: " + rank.name + " is taken by a goroutine that holds it already:" + h.String())
		}
		if !rank.isAfter(l.rank) {
			panic("lockrank: " + rank.name + " is not to be taken after " + l.rank.name + ", but" + h.String())
		}
	}
}

//go:norace
func (h *holding) mayDo(act Act, what string) {
	for i := range h.n {
		if l := &h.locks[i]; l.rank.over&act != act {
			panic("lockrank: " + what + ": not to be done under " + l.rank.name + ", but" + h.String())
		}
	}
}

//go:norace
func (h *holding) has(mu *sync.Mutex) bool {
	if h == nil {
		return claim(self()) == nil // a goroutine that is not checked
	}
	for i := range h.n {
		if h.locks[i].mu == mu {
			return true
		}
	}
	return false
}

//go:norace
func (h *holding) count() int { return h.n }

// String names the locks that are held and the lines that took them, for a message.
//
//go:norace
func (h *holding) String() string {
	var s strings.Builder
	for i := range h.n {
		l := &h.locks[i]
		frame, _ := runtime.CallersFrames(l.line[:]).Next()
		fmt.Fprintf(&s, "\n\t%s is held, taken by %s at %s:%d", l.rank.name, frame.Function, frame.File, frame.Line)
	}
	return s.String()
}
