// SPDX-License-Identifier: Apache-2.0

package account

import "github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"

// Budget is how much memory windows may take, over all runs. It is for the goroutines that Run is for.
type Budget struct{ Bytes int }

// take is whether there is room for another window, which is then taken.
func (b *Budget) take(window int) bool {
	if n := Bytes(window); n <= b.Bytes {
		b.Bytes -= n
		return true
	}
	return false
}

// Run accounts for the streams of one run. It is for one goroutine at a time.
type Run struct {
	window  int
	budget  *Budget
	streams []*Stream // by number, nil while nothing of one has come
	opened  int
	corrupt uint64 // of no stream
	refused uint64
}

// NewRun makes a run whose windows come out of the budget.
func NewRun(window int, budget *Budget) *Run { return &Run{window: window, budget: budget} }

// Take takes a stamp of the run. It reports false where there is no memory left for its stream; try again if there is
// more, or say Refuse.
func (r *Run) Take(s *stamp.Stamp) bool {
	number := int(s.Stream)
	if number < len(r.streams) && r.streams[number] != nil {
		r.streams[number].Take(s.Sequence)
		return true
	}
	if !r.budget.take(r.window) {
		return false
	}
	for len(r.streams) <= number {
		r.streams = append(r.streams, nil)
	}
	r.streams[number] = NewStream(r.window)
	r.opened++
	r.streams[number].Take(s.Sequence)
	return true
}

// Refuse counts a datagram that was not taken.
func (r *Run) Refuse() { r.refused++ }

// Corrupt counts a datagram of the run that is not as it was sent.
func (r *Run) Corrupt() { r.corrupt++ }

// Refused is how many datagrams were not accounted for, because there was no memory left for their streams.
func (r *Run) Refused() uint64 { return r.refused }

// Release gives the memory of the windows back, and keeps the counts as they are for this many numbers of each stream.
func (r *Run) Release(sent []uint64) Counts {
	c := r.Counts(sent)
	r.budget.Bytes += r.opened * Bytes(r.window)
	r.streams, r.opened = nil, 0
	return c
}

// Counts sums up the streams. sent is how many numbers of each the sender gave out, nil where that is not known.
func (r *Run) Counts(sent []uint64) Counts {
	c := Counts{Corrupt: r.corrupt}
	for i := range max(len(sent), len(r.streams)) {
		given := uint64(0)
		if i < len(sent) {
			given = sent[i]
		}
		if i < len(r.streams) && r.streams[i] != nil {
			c.Add(r.streams[i].Counts(given))
			continue
		}
		c.Add(Counts{Numbers: given, Lost: given})
	}
	return c
}
