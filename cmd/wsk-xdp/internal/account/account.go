// SPDX-License-Identifier: Apache-2.0

// Package account says what became of numbered datagrams: received, lost, duplicate, reordered, late. It keeps a bit for
// each of the last numbers of a stream, so that it takes the same memory for ten packets and for ten thousand million.
package account

// Counts are datagrams of a run, or of a stream of it, by what became of them.
type Counts struct {
	// Received is how many numbers were seen, each once; Reordered how many of those came behind a higher one, and Extent
	// by how many places at most.
	Received, Reordered, Extent uint64
	// Duplicate is how many came again; Late how many came behind the window, where it is not known any more whether
	// they came before.
	Duplicate, Late uint64
	// Corrupt is how many can't be what was sent.
	Corrupt uint64
	// Numbers is how many numbers there were: as many as the sender says that it gave out, or up to the highest seen.
	Numbers uint64
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
	c.Numbers += o.Numbers
	c.Lost += o.Lost
}

// Arrived is how many datagrams there were: every one is of one class.
func (c *Counts) Arrived() uint64 { return c.Received + c.Duplicate + c.Late + c.Corrupt }

// Balanced is whether the numbers add up. They do, unless more came late than were missing: duplicates behind the window.
func (c *Counts) Balanced() bool { return c.Received+c.Lost+c.Late == c.Numbers }

// jump is how far ahead of the last number the next may be. What is further was never sent.
const jump = 1 << 32

// Stream accounts for one sequence of numbers from 0 on. It is for one goroutine.
type Stream struct {
	seen   []uint64 // a bit for each of the last numbers, at the number modulo their count
	next   uint64   // above the highest number seen
	counts Counts
}

// NewStream makes a stream that tells numbers apart as long as they are among the last window ones. window is a multiple
// of 64.
func NewStream(window int) *Stream { return &Stream{seen: make([]uint64, window/64)} }

// Bytes is how much memory a stream with such a window takes, nearly.
func Bytes(window int) int { return window/8 + 128 }

// Take takes a number. It reports false for one that can't have been sent.
func (s *Stream) Take(number uint64) bool {
	window := uint64(len(s.seen)) * 64
	at := number % window
	word, bit := &s.seen[at/64], uint64(1)<<(at%64)
	switch {
	case number >= s.next+jump:
		s.counts.Corrupt++
		return false
	case number >= s.next:
		s.advance(number, window)
		*word |= bit
		s.next = number + 1
		s.counts.Received++
	case number+window < s.next:
		s.counts.Late++
	case *word&bit != 0:
		s.counts.Duplicate++
	default:
		*word |= bit
		s.counts.Received++
		s.counts.Reordered++
		s.counts.Extent = max(s.counts.Extent, s.next-1-number)
	}
	return true
}

// advance forgets what leaves the window when number becomes the highest.
func (s *Stream) advance(number, window uint64) {
	if number-s.next >= window {
		clear(s.seen)
		return
	}
	for n := s.next; n <= number; {
		at := n % window
		if at%64 == 0 && n+63 <= number {
			s.seen[at/64] = 0
			n += 64
			continue
		}
		s.seen[at/64] &^= 1 << (at % 64)
		n++
	}
}

// Counts is what became of the numbers. sent is how many the sender gave out, or less than the highest seen where that is
// not known.
func (s *Stream) Counts(sent uint64) Counts {
	c := s.counts
	c.Numbers = max(s.next, sent)
	missing := c.Numbers - c.Received
	c.Lost = missing - min(c.Late, missing)
	return c
}
