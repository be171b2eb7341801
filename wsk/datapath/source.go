// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// source is the sending half of an endpoint: its destinations, and what they have in common.
type source struct {
	host   *sendHost
	serial uint32 // spreads sources over queues

	// Set when the endpoint is bound, which happens before the first send.
	local netip.AddrPort
	slow  slowPath

	aborted atomic.Bool
	dead    atomic.Bool
	flows   flowTable
	devices deviceUse
}

// send takes ownership of an operation until it completes. See [wsk.Endpoint].
func (s *source) send(op *wsk.SendOp) { s.flows.find(s, &op.To).send(op) }

// mtu answers from what is known; an unknown path is looked up for the next question.
func (s *source) mtu(to *wsk.Destination) (int, wsk.NTSTATUS) {
	f := s.flows.find(s, to)
	if p := f.path.Load(); p != nil && p.generation == s.host.routes.Generation() {
		return p.mtu, wsk.STATUS_SUCCESS
	}
	f.prefetch()
	return 0, wsk.STATUS_NETWORK_UNREACHABLE
}

// abort cancels what waits for a way, and refuses what comes. What waits in a queue is cancelled by [queue.abort], later.
func (s *source) abort() {
	s.aborted.Store(true)
	s.flows.each((*flow).abort)
}

// kill ends what waits for a way after the last device that the source could use was deleted. It reports false when it
// has done so before.
func (s *source) kill() bool { return s.dead.CompareAndSwap(false, true) }

// failFlows is the second part of kill, after the socket above knows.
func (s *source) failFlows() {
	s.flows.each(func(f *flow) { f.fail(wsk.STATUS_FILE_FORCED_CLOSED) })
}

// tend keeps the neighbours of used flows alive and refreshes old paths.
func (s *source) tend(now time.Time) { s.flows.each(func(f *flow) { f.tend(now) }) }

// hasten looks anew for the way of flows that go through the kernel's stack.
func (s *source) hasten() {
	s.flows.each(func(f *flow) {
		if p := f.path.Load(); p != nil && p.queue == nil {
			f.prefetch()
		}
	})
}

// pathNarrowed makes every flow to an address learn its path MTU anew.
func (s *source) pathNarrowed(a netip.Addr) {
	s.host.routes.Flush(a)
	s.flows.each(func(f *flow) {
		if f.to.IP().WithZone("") == a {
			if p := f.path.Load(); p != nil {
				f.path.CompareAndSwap(p, nil)
			}
		}
	})
}

// pathLifetime is the age at which a path is looked up again although nothing was announced: path MTU exceptions
// and multipath weights change silently (design.md §5).
const pathLifetime = 30 * time.Second

// tend keeps the neighbour of a used flow alive, since frames sent past the stack do not, and refreshes an old path.
func (f *flow) tend(now time.Time) {
	if !f.used.Load() {
		return
	}
	f.used.Store(false)
	p := f.path.Load()
	if p == nil {
		return
	}
	if p.neighbourIf != 0 {
		f.src.host.routes.KeepAlive(p.neighbourIf, p.neighbour)
	}
	if now.Sub(p.resolved) > pathLifetime {
		f.prefetch()
	}
}
