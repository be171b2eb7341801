// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// receive waits for the next datagram. On success the caller takes what it needs out of the op and then ends the op.
func (c *Conn) receive(b []byte, control bool) (o *op, n int, err error) {
	for {
		if o, err = c.reads.begin(); err != nil {
			return nil, 0, err
		}
		if e := c.takeError(receiveFrom); e != nil {
			c.reads.end(o)
			return nil, 0, e
		}
		o.pointAt(b)
		n, err = c.received(o, o.waitReceive(c.socket, c.post(o, control)))
		if err == nil {
			return o, n, nil
		}
		c.reads.end(o)
		if err != errPassing {
			return nil, 0, err
		}
	}
}

// post passes an op, whose buffer is set, to WskReceiveFrom.
func (c *Conn) post(o *op, control bool) wsk.NTSTATUS {
	var length *uint32
	if control || c.reportsErrors || c.replies != nil {
		o.length = uint32(len(o.control))
		length = &o.length
	}
	return c.socket.ReceiveFrom(&o.buf, 0, o.address[:], length, o.control, &o.flags, &o.irp)
}

// errPassing is an ICMP error that a connection does not report: the receive is to be repeated.
var errPassing = &StatusError{Call: receiveFrom}

const receiveFrom = "WskReceiveFrom"

// received is the result of a receive that has ended: the size of a datagram, or an error.
func (c *Conn) received(o *op, status wsk.NTSTATUS) (int, error) {
	switch status {
	case wsk.STATUS_SUCCESS:
		if c.nowhere { // it is from others
			return 0, errPassing
		}
		if n := int(o.irp.IoStatus.Information); n != 0 || !c.reportsErrors {
			c.noteReply(o)
			return n, nil
		}
		if e, found := icmpError(o.control[:o.length]); found {
			return 0, c.met(e)
		}
		return 0, nil
	case wsk.STATUS_BUFFER_OVERFLOW: // the rest of the datagram is lost, as with recvfrom
		if c.nowhere {
			return 0, errPassing
		}
		c.noteReply(o)
		return int(o.irp.IoStatus.Information), nil
	case wsk.STATUS_CANCELLED, wsk.STATUS_FILE_CLOSED:
		if err := c.reads.cancelled(o); err != nil {
			return 0, err
		}
	}
	return 0, &StatusError{Call: receiveFrom, Status: status}
}

// met is the error of a read that has met an ICMP error. It is the last of those that have come since, if any have; they all are told
// by it, and so is one that another read has left before.
func (c *Conn) met(e wsk.ReceiveError) error {
	hard := c.hard(e, receiveFrom)
	if hard != nil {
		c.connectionError.Store(nil)
	}
	if later := c.takeError(receiveFrom); later != nil {
		hard = later
	}
	if hard == nil {
		return errPassing
	}
	return hard
}

// noteReply remembers where a datagram was sent, for the answer.
func (c *Conn) noteReply(o *op) {
	if c.replies != nil {
		c.replies.note(o.sender(), o.control[:o.length], o.flags)
	}
}

// Read reads a datagram from the fixed remote, or from anybody if there is none. The part that does not fit into b is
// lost. It blocks until a datagram comes, or on a connection that was dialled an ICMP error, until the read deadline passes or
// the connection is closed. b is the caller's again when it returns. An error is a *net.OpError, see [StatusError].
func (c *Conn) Read(b []byte) (int, error) {
	if len(b) == 0 { // as in package net, where only the ReadFrom forms read a datagram into an empty slice
		if err := c.reads.refused(); err == net.ErrClosed {
			return 0, c.opError("read", nil, err)
		}
		return 0, nil
	}
	o, n, err := c.receive(b, false)
	if err != nil {
		return 0, c.opError("read", nil, err)
	}
	c.reads.end(o)
	return n, nil
}

// ReadFromUDPAddrPort reads a datagram and its sender. The part that does not fit into b is lost. It blocks as [Conn.Read] does.
func (c *Conn) ReadFromUDPAddrPort(b []byte) (n int, addr netip.AddrPort, err error) {
	o, n, err := c.receive(b, false)
	if err != nil {
		return 0, netip.AddrPort{}, c.opError("read", nil, err)
	}
	addr = o.sender()
	c.reads.end(o)
	return n, addr, nil
}

// ReadFromUDP is [Conn.ReadFromUDPAddrPort] with another form of address.
func (c *Conn) ReadFromUDP(b []byte) (int, *net.UDPAddr, error) {
	n, ap, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, udpAddr(new(net.UDPAddr), ap), nil
}

// ReadFrom implements net.PacketConn. The address is a *net.UDPAddr.
func (c *Conn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, ap, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, udpAddr(new(net.UDPAddr), ap), nil
}

// ReadMsgUDPAddrPort reads a datagram into b and its control messages into oob, see [Conn.SetControl]. oobn is the
// number of bytes of oob in use. flags has MSG_TRUNC (0x20) if the datagram did not fit into b, and MSG_CTRUNC (0x8) if
// a control message did not fit into oob; those after it are left out too. Layouts and numbers are those of Linux.
func (c *Conn) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	o, n, err := c.receive(b, true)
	if err != nil {
		return 0, 0, 0, netip.AddrPort{}, c.opError("read", nil, err)
	}
	addr = o.sender()
	oobn, flags = o.readControl(oob)
	c.reads.end(o)
	return n, oobn, flags, addr, nil
}

// ReadMsgUDP is [Conn.ReadMsgUDPAddrPort] with another form of address.
func (c *Conn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	n, oobn, flags, ap, err := c.ReadMsgUDPAddrPort(b, oob)
	if err != nil {
		return n, oobn, flags, nil, err
	}
	return n, oobn, flags, udpAddr(new(net.UDPAddr), ap), nil
}
