// SPDX-License-Identifier: Apache-2.0

// Package account says what became of numbered datagrams: received, lost, duplicate, reordered, late. It keeps a bit for
// each of the last numbers of a stream, so that it takes the same memory for ten packets and for ten thousand million.
package account

import (
	"math"
	"math/bits"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// Class is what became of one datagram.
type Class uint8

// The classes. NoRoom is none: nothing was counted, for there is no memory for the datagram's stream.
const (
	NoRoom Class = iota
	Received
	Duplicate
	Late
	Corrupt
)

// Counts are datagrams of a run, or of a stream of it, by what became of them.
type Counts struct {
	// Received is how many numbers were seen, each once; Reordered how many of those came behind a higher one, and Extent
	// by how many places at most.
	Received, Reordered, Extent uint64
	// Duplicate is how many came again; Late how many came behind the window, where it is not known any more whether
	// they came before.
	Duplicate, Late uint64
	// Corrupt is how many can't be what was sent, Refused how many of the run there was no memory for.
	Corrupt, Refused uint64
	// Numbers is how many numbers there were: as many as the sender says that it gave out, or up to the highest seen.
	Numbers uint64
	// Before is how many there were below the lowest seen of streams that may have begun before anybody looked: it is not known
	// whether they were lost. They are not among Numbers.
	Before uint64
	// Lost is how many numbers were not seen. What came late is not lost.
	Lost uint64
}

// Add adds those of another stream, or run.
func (c *Counts) Add(o Counts) {
	c.Received += o.Received
	c.Reordered += o.Reordered
	c.Extent = max(c.Extent, o.Extent)
	c.Duplicate += o.Duplicate
	c.Late += o.Late
	c.Corrupt += o.Corrupt
	c.Refused += o.Refused
	c.Numbers += o.Numbers
	c.Before += o.Before
	c.Lost += o.Lost
}

// Arrived is how many datagrams there were: every one is of one class.
func (c *Counts) Arrived() uint64 { return c.Received + c.Duplicate + c.Late + c.Corrupt + c.Refused }

// Balanced is whether the numbers add up. They do, unless more came late than were missing: duplicates behind the window.
func (c *Counts) Balanced() bool { return c.Received+c.Lost+c.Late == c.Numbers }

// jump is how far ahead of the last number the next may be. What is further was never sent.
const jump = 1 << 32

// Stream accounts for one sequence of numbers from 0 on. It is for one goroutine.
type Stream struct {
	seen   []uint64 // a bit for each of the last numbers, at the number modulo their count
	next   uint64   // above the highest number seen
	floor  uint64   // below it nothing is known, whatever the window
	sent   uint64   // how many numbers there are
	ended  bool     // sent is known
	joined bool     // it may have begun before
	lowest uint64   // of the numbers seen, where it may
	counts Counts
}

// NewStream makes a stream that tells numbers apart as long as they are among the last window ones. window is a multiple
// of 64.
func NewStream(window int) *Stream { return &Stream{seen: make([]uint64, window/64)} }

// Joined says that the stream may have begun before anybody looked: what is below the lowest number that comes is not lost.
// It goes before the first number.
func (s *Stream) Joined() { s.joined, s.lowest = true, math.MaxUint64 }

// Full is the number of a stamp, of which 48 bits are there: the one that is nearest to the highest seen.
func (s *Stream) Full(sequence uint64) uint64 {
	ahead := (sequence - s.next) & stamp.Mask
	switch behind := stamp.Mask + 1 - ahead; {
	case ahead <= stamp.Mask/2:
		return s.next + ahead
	case behind > s.next:
		return sequence // there was none below 0
	default:
		return s.next - behind
	}
}

// Bytes is how much memory a stream with such a window takes, nearly.
func Bytes(window int) int { return window/8 + 128 }

// Take takes a number.
func (s *Stream) Take(number uint64) Class {
	window := uint64(len(s.seen)) * 64
	at := number % window
	word, bit := &s.seen[at/64], uint64(1)<<(at%64)
	if s.joined && s.next == 0 && !s.ended {
		s.next = number // the first that comes, however high it is
	}
	switch {
	case number >= s.next+jump || s.ended && number >= s.sent:
		s.counts.Corrupt++
		return Corrupt
	case number >= s.next:
		s.advance(number, window)
		*word |= bit
		s.next = number + 1
		s.lowest = min(s.lowest, number)
		s.counts.Received++
	case number+window < s.next || number < s.floor:
		s.counts.Late++
		return Late
	case *word&bit != 0:
		s.counts.Duplicate++
		return Duplicate
	default:
		*word |= bit
		s.lowest = min(s.lowest, number)
		s.counts.Received++
		s.counts.Reordered++
		s.counts.Extent = max(s.counts.Extent, s.next-1-number)
	}
	return Received
}

// End says how many numbers the sender gave out. What has come above them was not sent: it becomes corrupt, and so does
// what comes yet. Such numbers may have reordered others, and made them late: that stays.
func (s *Stream) End(sent uint64) {
	s.sent, s.ended = sent, true
	if s.next <= sent {
		return
	}
	window := uint64(len(s.seen)) * 64
	s.floor = s.next - min(s.next, window) // older bits were written over
	strange := s.forget(max(sent, s.floor), s.next)
	if rest := s.counts.Received - strange; rest > sent { // the others are not among the last ones
		strange += rest - sent
	}
	s.next = s.highest(sent)
	s.counts.Corrupt += strange
	s.counts.Received -= strange
	s.counts.Reordered = min(s.counts.Reordered, s.counts.Received)
}

// highest is what is above the highest number seen below an end, as far as the window tells.
func (s *Stream) highest(end uint64) uint64 {
	window := uint64(len(s.seen)) * 64
	for end > s.floor {
		word := s.seen[(end-1)%window/64]
		switch {
		case word&(1<<((end-1)%64)) != 0:
			return end
		case word == 0 && end%64 == 0 && end-64 >= s.floor:
			end -= 64
		default:
			end--
		}
	}
	return end
}

// forget takes the numbers from one up to another out of the window, and says how many of them were there.
func (s *Stream) forget(from, to uint64) (were uint64) {
	window := uint64(len(s.seen)) * 64
	for n := from; n < to; {
		word, mask, step := &s.seen[n%window/64], uint64(1)<<(n%64), uint64(1)
		if n%64 == 0 && n+64 <= to {
			mask, step = math.MaxUint64, 64
		}
		were += uint64(bits.OnesCount64(*word & mask))
		*word &^= mask
		n += step
	}
	return were
}

// advance forgets what leaves the window when number becomes the highest.
func (s *Stream) advance(number, window uint64) {
	if number-s.next >= window {
		clear(s.seen)
		return
	}
	s.forget(s.next, number+1)
}

// Counts is what became of the numbers: of as many as the sender gave out, or until that is known up to the highest seen.
func (s *Stream) Counts() Counts {
	c := s.counts
	c.Numbers = max(s.next, s.sent)
	if s.joined && !s.ended {
		c.Before = min(s.lowest, s.next)
		c.Numbers -= c.Before
	}
	missing := c.Numbers - c.Received
	c.Lost = missing - min(c.Late, missing)
	return c
}
