// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"math"
	"sync/atomic"
)

// gate counts the deliveries that are under way at an endpoint, so that its end can wait for them and no later one begins.
// The count and the shut mark are one word: whoever enters either is waited for or is refused. The zero value is shut.
type gate struct {
	state atomic.Int64  // deliveries inside, less shutMark while shut
	idle  chan struct{} // capacity 1: a token when a gate that was shut runs empty
}

const shutMark = math.MinInt64

func (g *gate) init() {
	g.idle = make(chan struct{}, 1)
	g.state.Store(shutMark)
}

// open lets deliveries in. It is called once at most.
func (g *gate) open() { g.state.Add(shutMark) } // twice shutMark is 0

// enter reports whether a delivery may begin; if so, leave must follow.
func (g *gate) enter() bool {
	if g.state.Add(1) < 0 {
		g.leave()
		return false
	}
	return true
}

func (g *gate) leave() {
	if g.state.Add(-1) == shutMark {
		select {
		case g.idle <- struct{}{}:
		default:
		}
	}
}

// shut refuses all deliveries from now on. It is called once at most, and only after open.
func (g *gate) shut() { g.state.Add(shutMark) }

// drain waits until the last delivery has left a gate that was shut.
func (g *gate) drain() {
	for g.state.Load() != shutMark {
		<-g.idle
	}
}
