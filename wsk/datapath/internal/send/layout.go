// SPDX-License-Identifier: Apache-2.0

package send

import (
	"github.com/wsk-xdp/wsk-xdp/frame"
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
}

// linkRoom is what a frame has besides its packet, at most.
const linkRoom = frame.EthernetLen + frame.MaxVLANTags*frame.VLANTagLen
