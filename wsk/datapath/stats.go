// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"log/slog"
	"slices"
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

type logger = *slog.Logger

// queueStats are counted under a queue's mu.
type queueStats struct {
	submitted, offloaded, completed, dropped, foreign, unpinned, parked, rebuilds uint64
}

// QueueInfo is what a queue is and has done.
type QueueInfo struct {
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

	Counters xdp.Counters

	// Offload is what is known about leaving checksums to others, kind by kind of frame. Empty where Granted.Offload is
	// xdp.OffloadNone (Granted.OffloadRefused says why), and before the first datagram.
	Offload []OffloadInfo

	// Receive is the receiving half, nil on a queue that only sends.
	Receive *ReceiveInfo
}

// Info is a snapshot of a datapath.
type Info struct {
	Queues   []QueueInfo
	Programs []ProgramInfo
	Devices  []DeviceInfo

	ResolveFailed uint64 // resolutions that ended without a way
	SlowPaths     uint64 // resolutions that ended at the kernel's own stack
	SlowSent      uint64 // operations sent through a companion socket
	SlowFailed    uint64
	ICMPErrors    uint64 // ICMP errors that reached a companion socket

	CompanionReceived  uint64 // datagrams that came through companion sockets
	CompanionDiscarded uint64 // of which nobody could be told
	Late               uint64 // datagrams for an endpoint that was being closed
}

// ProgramInfo is an XDP program of Options.Receive and what it has done.
type ProgramInfo struct {
	Interface string
	// Mode is what the kernel granted, native or generic; Fallback why it is not native.
	Mode     bpf.Mode
	Fallback error
	Ports    int          // entries
	MaxFrame int          // longer frames go through the kernel's stack
	Counters bpf.Counters // frames by bpf.Reason
}

// DeviceInfo is an interface that frames leave through.
type DeviceInfo struct {
	Interface string
	// PassProgram is whether an XDP program that passes everything is attached, because the driver wants one for zero-copy.
	PassProgram bool
	// LinkDrops is how often the link went down for an XDP program or a zero-copy bind; LinkWait how long that was waited out.
	LinkDrops int
	LinkWait  time.Duration
	// LinkLate is whether the last wait ended before the link was back.
	LinkLate bool
}

// queueInfo is a snapshot of the open queues.
func (d *device) queueInfo() (list []QueueInfo) {
	d.mu.Lock()
	queues, halves := slices.Clone(d.queues), slices.Clone(d.halves)
	d.mu.Unlock()
	for slot, q := range queues {
		if q != nil {
			info := q.info()
			info.Receive = halves[slot].info()
			list = append(list, info)
		}
	}
	return list
}

func (d *device) info() DeviceInfo {
	out := DeviceInfo{Interface: d.name, PassProgram: d.supplied()}
	out.LinkDrops, out.LinkWait, out.LinkLate = d.waits.snapshot()
	return out
}

var stateNames = [...]string{queueUp: "up", queueDown: "down", queueBroken: "rebuilding", queueGone: "gone"}

// Info takes a snapshot. It is for people and tests, not for the send path: it takes every queue's lock for a moment.
func (dp *Datapath) Info() Info {
	info := Info{
		ResolveFailed: dp.senders.stats.resolveFailed.Load(), SlowPaths: dp.senders.stats.slowPaths.Load(),
		Late: dp.hub.late.Load(),
	}
	kernel := &dp.companions.stats
	info.SlowSent, info.SlowFailed, info.ICMPErrors = kernel.slowSent.Load(), kernel.slowFailed.Load(), kernel.icmpErrors.Load()
	info.CompanionReceived, info.CompanionDiscarded = kernel.received.Load(), kernel.discarded.Load()
	dp.devices.each(func(d *device) {
		info.Queues = append(info.Queues, d.queueInfo()...)
		info.Devices = append(info.Devices, d.info())
	})
	for _, p := range dp.devices.programs() {
		info.Programs = append(info.Programs, p.info())
	}
	return info
}

func (q *queue) info() QueueInfo {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := &q.stats
	return QueueInfo{
		Interface: q.dev.ifname(), Queue: q.id, Granted: q.sock.Granted(), State: stateNames[q.state],
		Submitted: s.submitted, Offloaded: s.offloaded, Completed: s.completed, Dropped: s.dropped, Foreign: s.foreign, Unpinned: s.unpinned,
		Parked: s.parked, Rebuilds: s.rebuilds, InFlight: q.inflight, Waiting: q.waiting.n, Free: len(q.free),
		Counters: q.sock.Counters(), Offload: q.prover.info(),
	}
}
