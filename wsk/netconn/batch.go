// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"errors"
	"net"

	"golang.org/x/net/ipv4"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Message is one datagram of a batch. Addr is the sender of a datagram that was read, or the destination of one to send,
// a *net.UDPAddr; it is nil for a write on a connection that was dialled. OOB has the layout of Linux, and Flags may have
// MSG_TRUNC and MSG_CTRUNC.
//
// That it is the message of golang.org/x/net lets programs that look for the methods ReadBatch and WriteBatch of an
// ipv4.PacketConn find them here. An ipv4.PacketConn made of a connection has its options only: its own batches refuse.
type Message = ipv4.Message

// ReadBatch waits for a datagram and reads it and those that are buffered behind it, at most len(ms). It returns how
// many messages it has filled. flags may contain MSG_DONTWAIT and MSG_WAITFORONE of Linux, which change nothing. It
// allocates the addresses.
func (c *Conn) ReadBatch(ms []Message, flags int) (int, error) {
	if flags&^(linuxMsgDontWait|linuxMsgWaitForOne) != 0 {
		return 0, c.opError("read", nil, errors.ErrUnsupported)
	}
	for i := range ms {
		err := c.readMessage(&ms[i], i == 0)
		if err == nil {
			continue
		}
		if i > 0 {
			var status *StatusError
			if errors.As(err, &status) && err != errPassing {
				c.connectionError.Store(status)
			}
			return i, nil
		}
		return 0, c.opError("read", nil, err)
	}
	return len(ms), nil
}

// errEmpty says that nothing is buffered.
var errEmpty = errors.New("no datagram is buffered")

// readMessage fills one message. With wait it waits for a datagram; without, it returns errEmpty if there is none.
func (c *Conn) readMessage(m *Message, wait bool) error {
	for {
		o, err := c.reads.begin()
		if err != nil {
			return err
		}
		if wait {
			if e := c.takeError(receiveFrom); e != nil {
				c.reads.end(o)
				return e
			}
		}
		o.pointAtAll(m.Buffers)
		err = c.finishMessage(o, m, c.post(o, true), wait)
		c.reads.end(o)
		if err != errPassing {
			return err
		}
	}
}

// finishMessage waits for a receive that was posted or, without wait, takes it back. A datagram that comes before it is
// taken back counts.
func (c *Conn) finishMessage(o *op, m *Message, status wsk.NTSTATUS, wait bool) (err error) {
	withdrawn := status == wsk.STATUS_PENDING && !wait
	if withdrawn {
		o.irp.Cancel()
	}
	status = o.waitReceive(c.socket, status)
	if withdrawn && status == wsk.STATUS_CANCELLED {
		return errEmpty
	}
	if m.N, err = c.received(o, status); err == nil {
		m.Addr = udpAddr(new(net.UDPAddr), o.sender())
		m.NN, m.Flags = o.readControl(m.OOB)
	}
	return err
}
