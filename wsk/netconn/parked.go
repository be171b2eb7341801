// SPDX-License-Identifier: Apache-2.0

package netconn

import "github.com/wsk-xdp/wsk-xdp/wsk"

// What a device has dropped for want of a carrier is tried again, as the kernel's socket does: there the carrier takes the
// neighbour along, and what is written waits for the next answer to ARP. It stays in the write buffer, where it makes room
// like all that waits, and is given up after parkLimit. One is tried at a time, until one leaves: then all are.

// finish ends a copy that neither the write nor the provider has any more, or has it wait for a carrier.
func (c *Conn) finish(o *op) {
	status := o.irp.IoStatus.Status
	if lostCarrier(o, status) && c.writes.park(o, c.retry) {
		return
	}
	probe := o.probe
	if !status.Success() {
		c.writes.failed.Add(1)
	}
	c.writes.endCopy(o)
	if probe && status.Success() {
		for _, o := range c.writes.unparkAll() {
			c.resend(o)
		}
	}
}

// lostCarrier reports whether a device without a carrier has dropped a datagram. Where there is no route it has not come as
// far as a device.
func lostCarrier(o *op, status wsk.NTSTATUS) bool {
	return status == wsk.STATUS_NETWORK_UNREACHABLE && o.irp.SendProgress() == wsk.SendAccepted
}

// retry tries one, and comes again as long as there are any.
func (c *Conn) retry() {
	if o := c.writes.unpark(); o != nil {
		c.resend(o)
	}
	c.writes.lookAgain(c.retry)
}

// resend hands a copy over once more.
func (c *Conn) resend(o *op) {
	o.irp.Reuse(wsk.STATUS_SUCCESS)
	o.irp.SetCompletionRoutine(copyLeft, o, true, true, true)
	o.told = false
	o.parties.Store(1)
	c.socket.SendTo(&o.buf, 0, o.remote, o.sentControl, &o.irp)
}
