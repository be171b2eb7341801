// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bpf

import "fmt"

// Counters are numbers of frames, indexed by Reason.
type Counters [NumReasons]uint64

// Sub returns how far the counters moved since an earlier reading.
func (c Counters) Sub(earlier Counters) Counters {
	for r := range c {
		c[r] -= earlier[r]
	}
	return c
}

// Total returns the number of all frames that the program saw.
func (c Counters) Total() uint64 {
	var sum uint64
	for _, n := range c {
		sum += n
	}
	return sum
}

// Counters returns what the program counted since Load, over all CPUs, wherever it is attached. It is one system call. Frames that
// arrive meanwhile may be in or not.
func (p *Program) Counters() (Counters, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return Counters{}, fmt.Errorf("read counters: %w", ErrClosed)
	}
	var perCPU []Counters
	if err := p.maps.WskxdpCounters.Lookup(uint32(0), &perCPU); err != nil {
		return Counters{}, fmt.Errorf("read counters: %w", err)
	}
	var sum Counters
	for _, c := range perCPU {
		for r, n := range c {
			sum[r] += n
		}
	}
	return sum, nil
}
