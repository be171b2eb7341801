// SPDX-License-Identifier: Apache-2.0

// Command twin has pairs of functions, with a plain mutex and with a ranked one, that must compile to the same code.
package main

import (
	"sync"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
)

type rank struct{}

func (rank) Rank() *lockrank.Rank { return made }

var made = lockrank.New("made", lockrank.Nothing)

type plain struct {
	n  int
	mu sync.Mutex
}

type ranked struct {
	n  int
	mu lockrank.Mutex[rank]
}

//go:noinline
func plainLock(p *plain) {
	p.mu.Lock()
	p.n++
	p.mu.Unlock()
}

//go:noinline
func rankedLock(p *ranked) {
	lockrank.AssertNoneHeld("a test")
	p.mu.Lock()
	p.mu.AssertHeld()
	p.n++
	p.mu.Unlock()
	lockrank.AssertMay(lockrank.Anything, "a test")
}

//go:noinline
func plainTry(p *plain) bool {
	if !p.mu.TryLock() {
		return false
	}
	defer p.mu.Unlock()
	p.n++
	return true
}

//go:noinline
func rankedTry(p *ranked) bool {
	if !p.mu.TryLock() {
		return false
	}
	defer p.mu.Unlock()
	p.n++
	return true
}

func main() {
	plainLock(new(plain))
	rankedLock(new(ranked))
	plainTry(new(plain))
	rankedTry(new(ranked))
}
