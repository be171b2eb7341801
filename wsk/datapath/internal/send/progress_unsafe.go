// SPDX-License-Identifier: Apache-2.0

package send

import (
	"unsafe"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// progress is how far an operation has come at the queue that sends it. It lies in the room that an operation has for
// its transport, so that a send allocates nothing, and holds no pointer: the collector takes that room for numbers. The
// queue's mu guards it.
type progress struct {
	sum       uint64 // the checksum of the payload of buf, for its fragments
	buf       int    // next buffer to build
	piece     int    // next fragment or segment of that buffer
	mtu       int32  // what its fragments were planned for
	id        uint32 // its IP identification
	frames    int32  // frames with the kernel
	label     uint32 // the IPv6 flow label of its destination
	built     bool   // no further frame will be built
	canceller cancellerState
	routes    uint32 // the number of the routes by which a shared flow was found, as far as it goes
}

// begun reports whether some of an operation may have left.
func (p *progress) begun() bool { return p.frames != 0 || p.buf != 0 || p.piece != 0 }

// cancellerState says why a canceller may come for an operation that is on no list.
type cancellerState uint8

const (
	cancellerNone   cancellerState = iota
	cancellerArmed                 // the operation lies in the ring of a link that is down, and may be cancelled
	cancellerComing                // one has won the operation, and is on its way to take the lock
)

// held reports whether something needs the operation still: whoever builds its frames, a frame with the kernel, or a
// canceller that is on its way. An operation ends when the last of them lets go.
func (p *progress) held() bool { return !p.built || p.frames != 0 || p.canceller == cancellerComing }

// A progress that outgrows its room does not compile.
const _ = unsafe.Sizeof(wsk.SendState{}.Room) - unsafe.Sizeof(progress{})

// progressOf is the progress of an operation that the datapath has. It is zero when the operation comes.
func progressOf(op *wsk.SendOp) *progress {
	return (*progress)(unsafe.Pointer(&op.Transport.Room))
}

// disarm ends the cancellability of an operation in the ring. One that a canceller has won stays until that has come.
func disarm(op *wsk.SendOp) {
	pr := progressOf(op)
	if pr.canceller != cancellerArmed {
		return
	}
	pr.canceller = cancellerNone
	if !op.DisarmCancel() {
		pr.canceller = cancellerComing
	}
}
