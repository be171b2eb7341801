// SPDX-License-Identifier: Apache-2.0

package send

import (
	"unsafe"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Progress is how far an operation has come at the queue that sends it. It lies in the room that an operation has for its
// transport, so that a send allocates nothing, and holds no pointer: the collector takes that room for numbers. The queue's
// mu guards it.
type Progress struct {
	sum    uint64 // the checksum of the payload of buf, for its fragments
	buf    int    // next buffer to build
	piece  int    // next fragment or segment of that buffer
	mtu    int    // what its fragments were planned for
	id     uint32 // its IP identification
	frames int32  // frames with the kernel
	built  bool   // every frame has been handed to the kernel
	hold   uint8  // why a canceller may come for an operation that is on no list
}

// A progress that outgrows its room does not compile.
const _ = unsafe.Sizeof(wsk.SendState{}.Room) - unsafe.Sizeof(Progress{})

// progressOf is the progress of an operation that the datapath has. It is zero when the operation comes.
func progressOf(op *wsk.SendOp) *Progress {
	return (*Progress)(unsafe.Pointer(&op.Transport.Room))
}
