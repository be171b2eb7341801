// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

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

	// Counters are those of all its sockets, the replaced ones included.
	Counters xdp.Counters

	// Offload is what is known about leaving checksums to others, kind by kind of frame. Empty where Granted.Offload is
	// xdp.OffloadNone (Granted.OffloadRefused says why), and before the first datagram.
	Offload []OffloadInfo

	// Receive is the receiving half, nil on a queue that only sends.
	Receive *ReceiveInfo
}

// ReceiveInfo is what the receiving half of a queue has done. Frames is the sum of what became of them, where a
// datagram that went to several sockets counts once for each.
type ReceiveInfo struct {
	Frames    uint64 // frames taken off the RX ring
	Delivered uint64 // datagrams handed to sockets
	// Partial of them had a UDP checksum field with the bare sum of the pseudo-header, as a sender on this machine leaves it
	// to its device. Their payload is not verified (docs/host.md, "partial checksum").
	Partial uint64
	// Several of the frames came in more than one chunk, see Options.Receive.
	Several uint64

	OtherHost uint64 // dropped: the frame was for another station (promiscuous mode), or of a VLAN that is not ours
	Unowned   uint64 // dropped: nobody is bound to the destination any more
	NotJoined uint64 // dropped: nobody has joined the group on that interface, or wants that source
	Refused   uint64 // dropped: the host takes nothing from that source on that interface (rp_filter), or in such a frame
	Exhausted uint64 // dropped: memory was due, but clients keep 256 MiB outside the UMEM already, all sockets together
	Foreign   uint64 // descriptors that named no chunk of the kernel's; never trusted
	// Malformed counts what was dropped for its bytes, by frame.Reason.
	Malformed [frame.NumReasons]uint64

	Lent      int    // chunks lent to receivers now
	Free      int    // chunks with the kernel now
	Copied    uint64 // datagrams delivered as copies because chunks were scarce
	Moved     uint64 // datagrams that left their chunk while they were kept
	Abandoned uint64 // frames that were in the ring when the socket was replaced

	// Kernel holds the drops of the current socket that the kernel counted.
	Kernel xdp.Statistics
}

// Info is a snapshot of a datapath.
type Info struct {
	Queues   []QueueInfo
	Programs []ProgramInfo
	Devices  []DeviceInfo

	ResolveFailed uint64 // resolutions that ended without a way
	SlowPaths     uint64 // resolutions that ended at the kernel's own stack
	// SlowReasons counts these by reason, in the words of [route.ObstacleID] and five more: "no-queue" where an AF_XDP queue is
	// not to be had now, "opening" where it is being opened (Options.StandIn), "mtu" where the queue takes no packets of the
	// interface's MTU, "looped" where sockets of this host are to get it too, and "nat" where the kernel translates the addresses.
	SlowReasons map[string]uint64
	SlowSent    uint64 // operations sent through a companion socket
	Opened      uint64 // of these, the ones that were sent so for the sake of a connection: see Options.NoConntrack
	SlowFailed  uint64 // operations that a companion socket could not send
	ICMPErrors  uint64 // ICMP errors that reached a companion socket
	// RoutesAsked counts the ways for which the kernel had to be asked, by what the mirror of its routing did not know: see
	// [route.Table.Asked]. Many of them make sending slow while routes change.
	RoutesAsked map[string]uint64

	CompanionReceived  uint64 // datagrams that came through companion sockets
	CompanionDiscarded uint64 // of which nobody could be told
	// ReadByCaller are datagrams, by either way, that the goroutine which waited for one of them has read itself: see
	// wsk.Socket.WaitReceive.
	ReadByCaller uint64
	// CompanionOverflowed are datagrams that the kernel had no room for at companion sockets, because their buffers were full:
	// see Options.KernelBuffer. A few may have had wrong checksums.
	CompanionOverflowed uint64
	Late                uint64 // datagrams for an endpoint that was being closed
	// Abandoned is the sum of what the queues say, those of interfaces too that are gone, whose own counters go with them.
	Abandoned uint64
}

// ProgramInfo is an XDP program of Options.Receive and what it has done.
type ProgramInfo struct {
	Interface string
	// Mode is what the kernel granted, native or generic; Fallback why it is not native.
	Mode     bpf.Mode
	Fallback error
	// TagsUnseen says that a frame of a VLAN may be taken for an untagged one: see Options.ReceiveTagsUnseen, and on veth before
	// Linux 6.8.
	TagsUnseen bool
	Ports      int          // entries
	MaxFrame   int          // longer frames go through the kernel's stack
	Counters   bpf.Counters // frames by bpf.Reason
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

// Info takes a snapshot. It is for people and tests, not for the send path: it takes every queue's lock for a moment.
func (dp *Datapath) Info() Info {
	info := Info{
		ResolveFailed: dp.senders.Stats.ResolveFailed.Load(), Late: dp.hub.Late(), Abandoned: dp.hub.Abandoned(),
	}
	info.Opened = dp.senders.Stats.Opened.Load()
	info.SlowReasons, info.SlowPaths = dp.senders.Stats.SlowPaths.Counts()
	if s := dp.senders.Standings; s != nil {
		info.RoutesAsked = s.Asked()
	}
	kernel := &dp.companions.Stats
	info.SlowSent, info.SlowFailed, info.ICMPErrors = kernel.SlowSent.Load(), kernel.SlowFailed.Load(), kernel.ICMPErrors.Load()
	info.CompanionReceived, info.CompanionDiscarded = kernel.Received.Load(), kernel.Discarded.Load()
	info.CompanionOverflowed = dp.companions.Overflowed()
	info.ReadByCaller = dp.hub.ByCaller.Load()
	dp.devices.Each(func(d *device.Device) {
		for _, open := range d.OpenQueues() {
			info.Queues = append(info.Queues, queueInfo(open))
		}
		info.Devices = append(info.Devices, DeviceInfo(d.Info()))
	})
	for _, p := range dp.devices.Programs() {
		info.Programs = append(info.Programs, ProgramInfo(p.Info()))
	}
	return info
}

func queueInfo(open device.OpenQueue) QueueInfo {
	q := open.Queue.Info()
	info := QueueInfo{
		Interface: q.Interface, Queue: q.Queue, Granted: q.Granted, State: q.State,
		Submitted: q.Submitted, Offloaded: q.Offloaded, Completed: q.Completed, Dropped: q.Dropped, Foreign: q.Foreign,
		Unpinned: q.Unpinned, Parked: q.Parked, Rebuilds: q.Rebuilds, InFlight: q.InFlight, Waiting: q.Waiting, Free: q.Free,
		Counters: q.Counters, Receive: (*ReceiveInfo)(open.Half.Info()),
	}
	for _, o := range q.Offload {
		info.Offload = append(info.Offload, OffloadInfo(o))
	}
	return info
}
