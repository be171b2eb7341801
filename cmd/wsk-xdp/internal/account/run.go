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
	joined  bool
	apart   Counts   // of no stream
	sent    []uint64 // by stream, nil while that is not known

	released bool
	final    Counts
	lost     []uint64 // by stream, when it was released
}

// NewRun makes a run whose windows come out of the budget.
func NewRun(window int, budget *Budget) *Run { return &Run{window: window, budget: budget} }

// Ended makes a run that has been accounted for elsewhere, and is released: what comes of it yet is late. sent and lost are by stream, sent
// is nil where that is not known.
func Ended(final Counts, sent, lost []uint64) *Run {
	return &Run{sent: sent, released: true, final: final, lost: lost}
}

// Joined says that the run may have begun before anybody looked, see Stream. It goes before the first stamp.
func (r *Run) Joined() { r.joined = true }

// Take takes a stamp of the run. It is NoRoom where there is no memory left for its stream; try again if there is more, or
// say Refuse. What comes after Release is late, for whether it came before is not known any more.
func (r *Run) Take(s *stamp.Stamp) Class {
	number := int(s.Stream)
	switch {
	case r.released:
		return r.straggler(s)
	case number < len(r.streams) && r.streams[number] != nil:
		return r.streams[number].Take(r.streams[number].Full(s.Sequence))
	case !r.budget.take(r.window):
		return NoRoom
	}
	for len(r.streams) <= number {
		r.streams = append(r.streams, nil)
	}
	stream := NewStream(r.window)
	if r.joined {
		stream.Joined()
	}
	if r.sent != nil {
		stream.End(r.given(number))
	}
	r.streams[number] = stream
	r.opened++
	return stream.Take(s.Sequence)
}

// straggler takes what comes after the end: what is late is not lost.
func (r *Run) straggler(s *stamp.Stamp) Class {
	number := int(s.Stream)
	if r.sent != nil && s.Sequence >= r.given(number) {
		r.final.Corrupt++
		return Corrupt
	}
	r.final.Late++
	if number < len(r.lost) && r.lost[number] > 0 {
		r.lost[number]--
		r.final.Lost--
	}
	return Late
}

// given is how many numbers the sender gave out to a stream, once that is known.
func (r *Run) given(stream int) uint64 {
	if stream < len(r.sent) {
		return r.sent[stream]
	}
	return 0
}

// Refuse counts a datagram that was not taken.
func (r *Run) Refuse() { r.count().Refused++ }

// Corrupt counts a datagram of the run that is not as it was sent.
func (r *Run) Corrupt() { r.count().Corrupt++ }

// count is where a datagram of no stream is counted.
func (r *Run) count() *Counts {
	if r.released {
		return &r.final
	}
	return &r.apart
}

// End says how many numbers of each stream the sender gave out, nil where that is not known.
func (r *Run) End(sent []uint64) {
	r.sent = sent
	if sent == nil {
		return
	}
	for i, s := range r.streams {
		if s != nil {
			s.End(r.given(i))
		}
	}
}

// Release gives the memory of the windows back, and keeps the counts.
func (r *Run) Release() {
	r.final = r.Counts()
	r.lost = make([]uint64, max(len(r.sent), len(r.streams)))
	for i := range r.lost {
		r.lost[i] = r.stream(i).Lost
	}
	r.budget.Bytes += r.opened * Bytes(r.window)
	r.streams, r.opened, r.released = nil, 0, true
}

// Counts sums up the streams.
func (r *Run) Counts() Counts {
	if r.released {
		return r.final
	}
	c := r.apart
	for i := range max(len(r.sent), len(r.streams)) {
		c.Add(r.stream(i))
	}
	return c
}

// stream is what became of one stream.
func (r *Run) stream(i int) Counts {
	if i < len(r.streams) && r.streams[i] != nil {
		return r.streams[i].Counts()
	}
	return Counts{Numbers: r.given(i), Lost: r.given(i)}
}
