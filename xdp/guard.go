// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"math"
	"sync/atomic"
)

// guard counts the calls that are inside the kernel, so that Close can wait for them and later ones are refused.
// The count and the closed mark are one word: a call that enters either is seen by Close or sees it.
type guard struct {
	state atomic.Int64  // calls inside; closedMark is added once by close
	idle  chan struct{} // capacity 1: a token when a closed guard runs empty
}

const closedMark = math.MinInt64

func newGuard() guard { return guard{idle: make(chan struct{}, 1)} }

// enter reports whether the call may go on; if so, leave must follow.
func (g *guard) enter() bool {
	if g.state.Add(1) < 0 {
		g.leave()
		return false
	}
	return true
}

func (g *guard) leave() {
	if g.state.Add(-1) == closedMark {
		select {
		case g.idle <- struct{}{}:
		default:
		}
	}
}

// close refuses all later calls and waits for those inside. Only one caller may close.
func (g *guard) close() {
	if g.state.Add(closedMark) != closedMark {
		<-g.idle
	}
}

func (g *guard) closed() bool { return g.state.Load() < 0 }
