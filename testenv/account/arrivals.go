// SPDX-License-Identifier: Apache-2.0

package account

import (
	"errors"
	"sync"
	"time"
)

// Arrivals are the datagrams of a run that came to one receiver. It may be used concurrently.
type Arrivals struct {
	run uint64
	// Tell, if set, is called for each datagram of the run, one at a time.
	Tell func(tag Tag, err error)

	mu      sync.Mutex
	flows   map[uint32]*arrived
	foreign int
	change  chan struct{}
}

// arrived is what came of one flow.
type arrived struct {
	times     []uint8 // by sequence number
	total     int
	last      uint64
	reordered int
	damaged   int
	beyond    int // sequence numbers that can't be
	at        time.Time
	longest   time.Duration // between two
}

// mostSeq bounds the sequence number that is believed.
const mostSeq = 1 << 26

// NewArrivals returns an empty record for a run.
func NewArrivals(run uint64) *Arrivals {
	return &Arrivals{run: run, flows: make(map[uint32]*arrived), change: make(chan struct{}, 1)}
}

// Take notes a payload, which is not kept.
func (a *Arrivals) Take(payload []byte) {
	a.TakeTag(ParseTag(payload, a.run))
}

// TakeTag notes what [ParseTag] said of a payload, somewhere else perhaps.
func (a *Arrivals) TakeTag(tag Tag, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if errors.Is(err, ErrForeign) {
		a.foreign++
		return
	}
	if a.Tell != nil {
		a.Tell(tag, err)
	}
	f := a.flow(tag.Flow)
	switch {
	case err != nil:
		f.damaged++
	case tag.Seq >= mostSeq:
		f.beyond++
	default:
		f.take(tag.Seq)
	}
	select {
	case a.change <- struct{}{}:
	default:
	}
}

func (a *Arrivals) flow(n uint32) *arrived {
	f := a.flows[n]
	if f == nil {
		f = new(arrived)
		a.flows[n] = f
	}
	return f
}

func (f *arrived) take(seq uint64) {
	for uint64(len(f.times)) <= seq {
		f.times = append(f.times, 0)
	}
	if f.times[seq] < 255 {
		f.times[seq]++
	}
	if f.total > 0 && seq < f.last {
		f.reordered++
	}
	f.last = max(f.last, seq)
	now := time.Now()
	if f.total++; f.total > 1 {
		f.longest = max(f.longest, now.Sub(f.at))
	}
	f.at = now
}

// LongestPause is the longest time between two datagrams of a flow.
func (a *Arrivals) LongestPause(flow uint32) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.flows[flow]; f != nil {
		return f.longest
	}
	return 0
}

// Reordered is how many datagrams of a flow came behind a later one.
func (a *Arrivals) Reordered(flow uint32) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.flows[flow]; f != nil {
		return f.reordered
	}
	return 0
}

// Count is how many datagrams of a flow came, each as often as it did.
func (a *Arrivals) Count(flow uint32) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.flows[flow]; f != nil {
		return f.total
	}
	return 0
}

// Reached reports whether a datagram with this or a later number came.
func (a *Arrivals) Reached(flow uint32, seq uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.flows[flow]
	return f != nil && f.total > 0 && f.last >= seq
}

// Has reports whether a datagram came.
func (a *Arrivals) Has(flow uint32, seq uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.flows[flow]
	return f != nil && seq < uint64(len(f.times)) && f.times[seq] > 0
}

// snapshot copies a flow for the judge.
func (a *Arrivals) snapshot(flow uint32) arrived {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.flows[flow]
	if f == nil {
		return arrived{}
	}
	c := *f
	c.times = append([]uint8(nil), f.times...)
	return c
}
