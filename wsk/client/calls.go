// SPDX-License-Identifier: Apache-2.0

package client

import "github.com/wsk-xdp/wsk-xdp/wsk/ipc"

// calls are the requests without a (last) reply. A sequence number has a place, so no two that are under way have the
// same, and above it how often the place was used: a reply that comes late, or twice, is not taken for that to the request
// which has the place now. The session's mutex guards them.
type calls struct {
	list     []call
	free     []int // places of list
	requests int   // that are under way and no SENDs
}

type call struct {
	kind   ipc.Type // 0: the place is free
	socket uint32
	reply  func(body []byte, err error)
	left   uint32 // entries of a SEND that the daemon may say have ended: none before the message is made
	uses   uint32 // of the place before
}

// placeBits of a sequence number are the place, counted from 1. There is room for the SENDs of as many sockets as a
// session may have.
const placeBits = 21

func seqOf(place int, uses uint32) uint32 { return uses<<placeBits | uint32(place+1) }

// placeOf is negative for the number 0, which no call has.
func placeOf(seq uint32) int { return int(seq&(1<<placeBits-1)) - 1 }

// begin makes a place for a call. The answer is its sequence number.
func (c *calls) begin(one call) uint32 {
	if one.kind != ipc.TypeSend {
		c.requests++
	}
	if n := len(c.free); n > 0 {
		place := c.free[n-1]
		c.free = c.free[:n-1]
		one.uses = c.list[place].uses
		c.list[place] = one
		return seqOf(place, one.uses)
	}
	c.list = append(c.list, one)
	return seqOf(len(c.list)-1, 0)
}

// of is the call that a reply answers, or nil.
func (c *calls) of(h ipc.Header) *call {
	place := placeOf(h.Seq)
	if place < 0 || place >= len(c.list) {
		return nil
	}
	one := &c.list[place]
	if h.Seq != seqOf(place, one.uses) || one.kind != h.Type.Request() || one.socket != h.Socket {
		return nil
	}
	return one
}

// end frees the place of a call.
func (c *calls) end(seq uint32) {
	place := placeOf(seq)
	one := &c.list[place]
	if one.kind != ipc.TypeSend {
		c.requests--
	}
	*one = call{uses: one.uses + 1}
	c.free = append(c.free, place)
}

// takeReplies empties the table, at the end.
func (c *calls) takeReplies() (replies []func([]byte, error)) {
	for i := range c.list {
		if reply := c.list[i].reply; reply != nil {
			replies = append(replies, reply)
		}
	}
	*c = calls{}
	return replies
}
