// SPDX-License-Identifier: Apache-2.0

package liveframes

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
)

// What a rate below rate max takes.
const (
	// slack is how late a packet may be whose time the program keeps; what is later is forfeited.
	slack = 10 * time.Millisecond
	// atOnce is a pause between two calls whose packets all leave with the next: some calls' worth, for less would lag behind slow calls.
	atOnce = 50 * time.Millisecond
	// mostSingle is up to what rate each packet has a call of its own, which costs some 20 µs of a processor. A call for several
	// costs more than a millisecond, for the kernel patches its own code at its beginning and at its end, and lasts some ten.
	mostSingle = 10_000
	// callGrain is the least time between two calls for several.
	callGrain = 5 * time.Millisecond
	// look is how often it is looked whether a program that keeps the rate has made all that it should.
	look = 2 * time.Millisecond
)

// purse is what the lanes of a run may still send, where the process keeps the rate.
type purse struct {
	mu      sync.Mutex
	pacer   blast.Pacer
	bounded bool
	left    uint64
	last    time.Duration // when something was taken last
}

// take is how many packets a lane may send now, and how long the next is to be waited for. over is whether there will be no more.
func (p *purse) take(elapsed, duration time.Duration) (n uint64, wait time.Duration, over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	want := uint64(1 << 20)
	if p.bounded {
		want = min(want, p.left)
	}
	n = p.pacer.Take(elapsed, want)
	ended := p.pacer.Over(elapsed) // what fell due until then still goes
	if n > 0 {
		p.last = elapsed
		if duration > 0 {
			p.last = min(elapsed, duration)
		}
	}
	if p.bounded {
		p.left -= n
	}
	if ended {
		p.pacer.End(elapsed)
	}
	return n, p.pacer.Wait(elapsed, 1), p.bounded && p.left == 0 || ended
}

// share is how many frames are a lane's where the lanes do not take them from the purse, 0 for no bound.
func share(n uint64, lane, lanes int) uint64 {
	n, rest := n/uint64(lanes), n%uint64(lanes)
	if uint64(lane) < rest {
		n++
	}
	return n
}

// sleep waits, and not for longer than it takes to notice that the run is to stop.
func sleep(wait time.Duration, stop *atomic.Bool) {
	const notice = 20 * time.Millisecond
	for end := time.Now().Add(wait); !stop.Load(); {
		left := time.Until(end)
		if left <= 0 {
			return
		}
		time.Sleep(min(left, notice))
	}
}
