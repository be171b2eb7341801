// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// A write that does not wait copies the datagram and hands the copy to the provider. It returns what the kernel's socket
// would have returned: an error that is known as soon as the route is, and success for what only waits for a neighbour,
// a link or its turn, whatever becomes of that.

// room is memory of the op's for n bytes of a datagram.
func (o *op) room(n int) []byte {
	if n > keptRoom {
		o.large = large.Get().(*[largest]byte)
		return o.large[:n]
	}
	if cap(o.data) < n {
		o.data = make([]byte, roomFor(n))
	}
	return o.data[:n]
}

// arm makes an op, which has a copy in its room, ready to be handed over.
func (c *Conn) arm(o *op, room []byte) {
	o.pointAt(room)
	o.ended, o.told = c.copyEnded, false
	o.parties.Store(2)
	o.irp.SetCompletionRoutine(copyLeft, o, true, true, true)
}

// sendCopy sends one datagram and does not wait until it has left. to is not valid with fixed.
func (c *Conn) sendCopy(b, oob []byte, to netip.AddrPort, fixed bool) error {
	if err := c.earlier(to); err != nil {
		return err
	}
	o, err := c.writes.beginCopy(len(b), to, true)
	if err != nil {
		return err
	}
	remote, control, err := c.aim(o, oob, to, fixed)
	if err != nil {
		c.writes.endCopy(o)
		return err
	}
	room := o.room(len(b))
	copy(room, b)
	c.arm(o, room)
	return c.accepted(o, "WskSendTo", c.socket.SendTo(&o.buf, 0, remote, control, &o.irp))
}

// accepted waits until it is known whether the provider takes a copy, which is with it now, and returns why not.
func (c *Conn) accepted(o *op, call string, status wsk.NTSTATUS) (err error) {
	completed, taken := status != wsk.STATUS_PENDING, false
	if !completed {
		if o.irp.SendProgress() == wsk.SendSought {
			c.writes.watch(o)
			completed = o.irp.WaitSought()
			taken = c.writes.unwatch(o)
		} else {
			completed = o.irp.WaitSought() // without waiting
		}
		if completed {
			status = o.irp.IoStatus.Status
		}
	}
	switch {
	case taken: // perhaps when it had come to wait for its neighbour
		err = c.sent(o, call, wsk.STATUS_CANCELLED)
	case completed:
		err = c.refusal(o, call, status)
	}
	o.told = completed || taken
	if o.parties.Add(-1) == 0 {
		if !o.told { // it has ended since
			err = c.refusal(o, call, o.irp.IoStatus.Status)
		}
		c.finish(o)
	}
	return err
}

// refusal is the error of a write whose copy has ended before it returned, where the kernel's socket would have had it at once.
func (c *Conn) refusal(o *op, call string, status wsk.NTSTATUS) error {
	if status.Success() || o.irp.SendProgress() != wsk.SendSought && !isLasting(status) {
		return nil
	}
	return c.sent(o, call, status)
}

// copyEnd is called when the provider is done with a copy.
func (c *Conn) copyEnd(o *op) {
	status, to := o.irp.IoStatus.Status, o.to
	if o.parties.Add(-1) == 0 { // the write has returned, or is about to
		if !o.told && isLasting(status) {
			c.late.Store(&lateError{to, status, o.sendError(status)})
		}
		c.finish(o)
	}
}

// earlier is an error that this write is to report although it is not its own: an ICMP error that no read has met yet, or
// the end of an earlier datagram to the same destination, where a provider tells of it late.
func (c *Conn) earlier(to netip.AddrPort) error {
	if e := c.takeError("WskSendTo"); e != nil {
		return e
	}
	if l := c.late.Load(); l != nil && l.to == to && c.late.CompareAndSwap(l, nil) {
		return &StatusError{Call: "WskSendTo", Status: l.status, errno: l.errno}
	}
	return nil
}
