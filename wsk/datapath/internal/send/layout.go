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

// LongestPacket is the largest MTU whose packets the queue takes.
func (q *Queue) LongestPacket() int {
	longest, _ := q.limits()
	return longest - linkRoom
}

// limits are the longest frame that the queue can send, and the longest that it can send in one chunk.
func (q *Queue) limits() (frame, chunk int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tx.limits()
}

// limits are the longest frame that the ring takes, and the longest that a chunk holds, of this socket and of any that takes its
// place: one whose frames have metadata in front has less room.
func (p *producer) limits() (frame, chunk int) {
	frame = p.capacity()
	if p.span <= 1 {
		return frame, frame
	}
	chunk = min(frame, p.umem.ChunkSize()-GenerationRoom-xdp.TxMetadataLen)
	return chunk * min(p.span, len(p.slots)), chunk
}
