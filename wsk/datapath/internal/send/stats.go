// SPDX-License-Identifier: Apache-2.0

package send

import (
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Info is what a queue is and has done, as far as sending goes.
type Info struct {
	Interface string
	Queue     int
	// Granted is what the kernel gave: copy or zero-copy, sizes, budget.
	Granted xdp.Granted
	// State is "up", "down", "rebuilding" or "gone".
	State string

	Submitted uint64 // frames put into the TX ring
	Offloaded uint64 // of those, frames whose UDP checksum was left to the other side
	Completed uint64 // completions that named one of them
	Dropped   uint64 // of those, frames that the kernel said the device dropped
	Foreign   uint64 // completions that named no frame under way; never trusted
	Unpinned  uint64 // drops that could not be pinned on a frame
	Parked    uint64 // operations that waited for a chunk or a link
	Rebuilds  uint64 // sockets replaced
	InFlight  int    // chunks with the kernel now
	Waiting   int    // operations waiting now
	Free      int    // chunks in the pool; Free + InFlight is the number of TX chunks

	// Counters are those of all its sockets, the replaced ones included.
	Counters xdp.Counters

	// Offload is what is known about leaving checksums to others, kind by kind of frame.
	Offload []offload.Info
}

var stateNames = [...]string{queueUp: "up", queueDown: "down", queueBroken: "rebuilding", queueGone: "gone"}

func (q *Queue) Info() Info {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := &q.tx.stats
	return Info{
		Interface: q.dev.Name(), Queue: q.id, Granted: q.sock.Granted(), State: stateNames[q.state],
		Submitted: s.submitted, Offloaded: s.offloaded, Completed: s.completed, Dropped: s.dropped, Foreign: s.foreign, Unpinned: s.unpinned,
		Parked: s.parked, Rebuilds: s.rebuilds, InFlight: q.tx.inflight, Waiting: q.waiting.N, Free: len(q.tx.free),
		Counters: sum(s.replaced, q.sock.Counters()), Offload: q.prover.Info(),
	}
}

// Away is why a queue has no socket and nothing is to wait for one; nil while it has one, or may have one in a moment.
func Away(q *Queue) error { return q.poll.absence.err() }
