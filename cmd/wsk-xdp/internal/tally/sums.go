// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"math/bits"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/account"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// sum adds the streams, and lists what became of each. The mutex is held.
func (r *Run) sum() (c account.Counts, streams map[int]account.Counts) {
	all := r.counted()
	c = r.apart
	c.Corrupt += all.Corrupt
	c.Refused += all.Refused
	streams = map[int]account.Counts{}
	for i := range r.m.readStreams() {
		s := &r.m.states[i]
		if s.Owner == 0 || (s.Owner-1)/stamp.Streams != r.slot {
			continue
		}
		stream := int(s.Owner-1) % stamp.Streams
		streams[stream] = r.stream(r.m.keys[i], stream, s)
		c.Add(streams[stream])
	}
	for stream, n := range r.sent {
		if _, seen := streams[stream]; !seen {
			streams[stream] = account.Counts{Numbers: n, Lost: n}
			c.Add(streams[stream])
		}
	}
	return c, streams
}

// stream is what became of one stream. What came above the numbers that were given out was not sent: it is corrupt. The mutex is held.
func (r *Run) stream(window uint32, stream int, s *wsktallyTallyStream) account.Counts {
	c := account.Counts{
		Received: s.Received, Reordered: s.Reordered, Extent: s.Extent, Duplicate: s.Duplicate, Late: s.Late, Corrupt: s.Corrupt, Numbers: s.Next,
	}
	switch {
	case r.sent != nil:
		c.Numbers = r.given(stream)
		if s.Next > c.Numbers {
			strange := r.strange(window, c.Numbers, s)
			c.Corrupt += strange
			c.Received -= strange
			c.Reordered = min(c.Reordered, c.Received)
		}
	case r.joined && s.Received > 0:
		c.Before = s.Lowest
		c.Numbers -= c.Before
	}
	missing := c.Numbers - min(c.Received, c.Numbers)
	c.Lost = missing - min(c.Late, missing)
	return c
}

// strange is how many numbers of a stream that were not sent have come, as far as its window tells. The mutex is held.
func (r *Run) strange(window uint32, sent uint64, s *wsktallyTallyStream) (n uint64) {
	cells := uint64(r.m.cells)
	first := max(sent, s.Next-min(s.Next, (cells-1)*32))
	for w := first >> 5; w <= (s.Next-1)>>5; w++ {
		var cell uint64
		r.m.failed(r.m.maps[wsktallyMapWsktallyCells].Lookup(window*uint32(cells)+uint32(w%cells), &cell))
		if uint32(cell>>32) != uint32(w) {
			continue
		}
		mask := ^uint32(0)
		if w == first>>5 {
			mask <<= first & 31
		}
		n += uint64(bits.OnesCount32(uint32(cell) & mask))
	}
	if rest := s.Received - n; rest > sent { // the others are not among the last ones
		n += rest - sent
	}
	return n
}

// Counts is what became of the run.
func (r *Run) Counts() account.Counts {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if r.ended != nil {
		return r.ended.Counts()
	}
	c, _ := r.sum()
	return c
}

// Release gives the slot and the windows of the run back, and keeps the counts. What comes after that is late where its sender has sent
// everything, and else of another run.
func (r *Run) Release() {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if r.ended != nil {
		return
	}
	next := uint32(0)
	if r.said {
		next = endedRun
	}
	m := r.m
	var now uint32
	m.failed(m.maps[wsktallyMapWsktallyRuns].Lookup(uint32(r.ID), &now))
	if now == r.slot+1 {
		m.failed(m.maps[wsktallyMapWsktallyRuns].Put(uint32(r.ID), next))
	}
	m.failed(m.wait()) // from here on no packet touches the slot
	c, streams := r.sum()
	lost := make([]uint64, max(len(r.sent), stamp.Streams))
	for stream, one := range streams {
		lost[stream] = one.Lost
	}
	r.final, r.times = r.counted(), r.readTimes()
	r.ended = account.Ended(c, r.sent, lost)
	m.clear(r.slot)
}
