// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// stats is what a queue has counted over all its sockets.
type stats struct {
	counters  counters // under ringMu
	abandoned uint64   // likewise
	moved     atomic.Uint64
}

type counters struct {
	frames, delivered, partial, scarce     uint64
	otherHost, unowned, notJoined, foreign uint64
	refused, exhausted, several            uint64
	reasons                                [frame.NumReasons]uint64
}

// Info is what the receiving half of a queue has done. Frames is the sum of what became of them, where a
// datagram that went to several sockets counts once for each.
type Info struct {
	Frames    uint64 // frames taken off the RX ring
	Delivered uint64 // datagrams handed to sockets
	// Partial of them had a checksum that a local sender left to its device; see doc.go.
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
