// SPDX-License-Identifier: Apache-2.0

package send

import (
	"fmt"
	"io"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// What tests of the whole datapath do to a queue from outside.

// Visits lists what everybody does who takes the locks of a queue, done by one who has nothing to do there. In a storm
// whoever comes next makes up for what the last one forgot; a test that makes these visits one at a time does not.
func Visits(h *Host) []func(*Queue) {
	stranger := &Source{Host: h}
	return []func(*Queue){
		(*Queue).CarrierLost, (*Queue).ProgramTaken, (*Queue).drive, (*Queue).complete, (*Queue).LinkUp,
		func(q *Queue) { q.poll.wake() },
		func(q *Queue) { q.Abort(stranger) },
	}
}

// ShiftUp puts a queue into the high gear, as load does.
func ShiftUp(q *Queue) {
	q.kickMu.Lock()
	if !q.closed {
		q.tails.add(q)
	}
	q.unlockKick()
}

// ShiftDown is the end of a load that was none. The queue is in the low gear, so that no watcher is at it.
func ShiftDown(q *Queue) {
	q.tail = tailState{tails: 1 << 32}
	stillLoaded(q, q.look())
}

// PinGear keeps a queue in the high or the low gear with no watcher to kick: each [Burst] frames leave with the last of them,
// and what is left behind with Kick.
func PinGear(q *Queue, high bool) { q.poll.high.Store(high) }

// Burst is how many frames make a burst.
const Burst = loadBurst

// Kick does at once what is left to do.
func Kick(q *Queue) { q.drive() }

// Asleep reports whether nobody looks after a queue, because there is nothing to do.
func Asleep(q *Queue) bool { return q.poll.idle.Load() }

// TrustOffload makes a queue believe that a proof has succeeded, whatever the real one says.
func TrustOffload(q *Queue) bool {
	for _, known := range q.prover.Info() {
		if !known.Proved && known.Why == nil {
			return false // the real one runs
		}
	}
	q.mu.Lock()
	grant := q.tx.offload
	q.mu.Unlock()
	if !q.prover.Conclude(offload.Key{}, grant, nil) {
		return false
	}
	promote(q, offload.Key{}, grant)
	return true
}

// BreakDown has the socket of a queue replaced. between, if not nil, runs while everything that takes the lock of the
// queue has to wait, such as cancellers that have won their operations.
func BreakDown(q *Queue, why string, between func()) {
	q.kickMu.Lock()
	if between != nil && !q.closed {
		q.mu.Lock()
		between()
		q.refill()
		q.mu.Unlock()
	}
	q.breakDown(why, wsk.STATUS_IO_TIMEOUT)
	q.unlockKick()
	q.completeLater()
}

// ReceiveHalfOf is the receiving half of a queue.
func ReceiveHalfOf(q *Queue) ReceiveHalf { return q.rx }

// UsesOffload reports whether a flow of a source leaves its checksums to others.
func UsesOffload(s *Source, ipv6 bool) (uses bool) {
	s.flows.eachPath(func(f *Flow) {
		p := f.path.Load()
		uses = uses || p != nil && p.offload != 0 && p.proof.IPv6 == ipv6
	})
	return uses
}

// SpoilOffload has the flows of a source ask for checksums at another place.
func SpoilOffload(s *Source, request xdp.ChecksumRequest) {
	s.flows.eachPath(func(f *Flow) {
		spoilt := *f.path.Load()
		spoilt.request = request
		f.path.Store(&spoilt)
	})
}

// DumpSource writes down which operations of a source wait for their way.
func DumpSource(s *Source, b io.Writer) {
	s.flows.each(func(f *Flow) {
		if n := f.waiters.Load(); n != 0 {
			fmt.Fprintf(b, "flow to %v: %d wait, aborted %v\n", f.to.IP(), n, s.aborted.Load())
		}
	})
}
