// SPDX-License-Identifier: Apache-2.0

package client

import "github.com/wsk-xdp/wsk-xdp/wsk/ipc"

// calls are the requests without a (last) reply. Their places are their sequence numbers, so no two that are under way
// have the same. The session's mutex guards them.
type calls struct {
	list     []call
	free     []uint32 // places of list
	requests int      // that are under way and no SENDs
}

type call struct {
	kind   ipc.Type // 0: the place is free
	socket uint32
	reply  func(body []byte, err error)
	left   uint32 // entries of a SEND
}

// begin makes a place for a call. The answer is its sequence number.
func (c *calls) begin(one call) uint32 {
	if one.kind != ipc.TypeSend {
		c.requests++
	}
	if n := len(c.free); n > 0 {
		place := c.free[n-1]
		c.free = c.free[:n-1]
		c.list[place] = one
		return place + 1
	}
	c.list = append(c.list, one)
	return uint32(len(c.list))
}

// of is the call that a reply answers, or nil.
func (c *calls) of(h ipc.Header) *call {
	if h.Seq == 0 || uint64(h.Seq) > uint64(len(c.list)) {
		return nil
	}
	one := &c.list[h.Seq-1]
	if one.kind != h.Type.Request() || one.socket != h.Socket {
		return nil
	}
	return one
}

// end frees the place of a call.
func (c *calls) end(seq uint32) {
	one := &c.list[seq-1]
	if one.kind != ipc.TypeSend {
		c.requests--
	}
	*one = call{}
	c.free = append(c.free, seq-1)
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
