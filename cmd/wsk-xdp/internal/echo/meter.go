// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"maps"
	"sync"
)

// Counts are datagrams by what became of them. Each that came is answered, failed, dropped as was asked for, load of blast,
// or refused.
type Counts struct {
	Packets, Bytes, Answered, Failed, Dropped, Load uint64
	Refused                                         map[Cause]uint64
}

// refused is the sum of all causes.
func (c *Counts) refused() (n uint64) {
	for _, one := range c.Refused {
		n += one
	}
	return n
}

// Meter counts. Its methods may be called concurrently.
type Meter struct {
	mu sync.Mutex
	c  Counts
}

// NewMeter makes a meter that has counted nothing.
func NewMeter() *Meter { return &Meter{c: Counts{Refused: map[Cause]uint64{}}} }

// came counts a datagram, and why it gets no answer.
func (m *Meter) came(bytes int, cause Cause) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.c.Packets++
	m.c.Bytes += uint64(bytes)
	switch cause {
	case "":
	case onPurpose:
		m.c.Dropped++
	case ofBlast:
		m.c.Load++
	default:
		m.c.Refused[cause]++
	}
}

// held counts answers whose time had not come at the end.
func (m *Meter) held(n int) {
	if n == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.c.Refused[AtEnd] += uint64(n)
}

// sent counts an answer.
func (m *Meter) sent(ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ok {
		m.c.Answered++
	} else {
		m.c.Failed++
	}
}

// Now is what it has counted.
func (m *Meter) Now() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.c
	c.Refused = maps.Clone(c.Refused)
	return c
}
