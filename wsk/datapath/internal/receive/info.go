// SPDX-License-Identifier: Apache-2.0

package receive

// Info is nil for a queue that does not receive.
func (q *Queue) Info() *Info {
	if q == nil {
		return nil
	}
	var out Info
	r := q.current()
	q.ringMu.Lock()
	defer q.ringMu.Unlock()
	if r != nil {
		c := r.chunks()
		out.Lent, out.Free = c.Lent, c.Total-c.Lent
		if st, err := r.sock.Statistics(); err == nil {
			out.Kernel = st
		}
	}
	c := &q.stats.counters
	out.Frames, out.Delivered, out.Partial, out.Copied = c.frames, c.delivered, c.partial, c.scarce
	out.OtherHost, out.Unowned, out.NotJoined, out.Foreign = c.otherHost, c.unowned, c.notJoined, c.foreign
	out.Refused, out.Exhausted, out.Several = c.refused, c.exhausted, c.several
	out.Malformed, out.Abandoned, out.Moved = c.reasons, q.stats.abandoned, q.stats.moved.Load()
	return &out
}

// Chunks is where the RX chunks of a socket are. In no batch, with the kernel are Total - Lent - Filled - Back of
// them.
type Chunks struct {
	Total  int
	Lent   int  // being looked at or with clients
	Filled int  // in the fill ring
	Back   int  // on their way there
	Asleep bool // the receiver waits for frames
	Closed bool // the socket is closed; its memory goes with the last chunk that is lent
}

// Chunks returns a function that tells where the chunks of the newest socket are, also once another is newer. It is
// for tests: I1 is that every chunk is somewhere.
func (q *Queue) Chunks() func() Chunks {
	r := q.current()
	if r == nil {
		return func() Chunks { return Chunks{Closed: true} }
	}
	return func() Chunks {
		q.ringMu.Lock() // not while frames are being looked at
		defer q.ringMu.Unlock()
		return r.chunks()
	}
}

func (r *receiver) chunks() Chunks {
	r.fillMu.Lock()
	defer r.fillMu.Unlock()
	c := Chunks{Total: len(r.slots), Lent: r.lent, Back: len(r.back), Asleep: r.asleep, Closed: r.closed}
	if !r.closed { // else the rings may be unmapped
		c.Filled = int(r.fill.Pending())
	}
	return c
}
