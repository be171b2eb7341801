// SPDX-License-Identifier: Apache-2.0

package send

import (
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// layout is the form of the frames of a path. Immutable.
type layout struct {
	Template frame.Template
	header   int    // bytes in front of the payload of an unfragmented datagram
	mtu      int    // largest IP packet
	whole    int    // largest payload that leaves in one frame
	room     int    // largest payload that leaves in one chunk
	offload  uint32 // the grant under which the socket completes checksums; 0: they are computed here
	request  xdp.ChecksumRequest
	open     bool // the template is: each operation has its own destination
}

// dst is the destination of an operation, for an open template.
func dst(op *wsk.SendOp) frame.Dst {
	return frame.Dst{Addr: op.To.Addr, Port: op.To.Port, FlowLabel: progressOf(op).label}
}

// to is the layout of frames to the destination of an operation, from one whose template is open.
func (l *layout) to(op *wsk.SendOp) layout {
	there, d := *l, dst(op)
	there.Template, there.open = l.Template.To(&d), false
	return there
}

// linkRoom is what a frame has besides its packet, at most.
const linkRoom = frame.EthernetLen + frame.MaxVLANTags*frame.VLANTagLen
