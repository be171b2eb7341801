// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// batchPart is how many messages of a batch are handed over at once. Two such parts are under way at most, so that a
// batch of any length needs no more than the ops that a side keeps.
const batchPart = 64

// part is a piece of a batch that has been handed over.
type part struct {
	ops   [batchPart]*op
	n     int // ops with a call under way
	first int // message of ops[0]
}

// WriteBatch sends the messages in their order, each to its own destination and with its own OOB. It returns as other
// writes do: at once, when all of them have been taken, or with Options.Strict when all have left. It returns the number of messages before the first that was not sent. If that is not all of them, err says
// why; messages behind it may have been sent nevertheless: N is set for each message that was sent, and 0 for the
// others. flags may contain MSG_DONTWAIT of Linux, which changes nothing.
func (c *Conn) WriteBatch(ms []Message, flags int) (int, error) {
	if flags&^linuxMsgDontWait != 0 {
		return 0, c.opError("write", nil, errors.ErrUnsupported)
	}
	for i := range ms {
		ms[i].N, ms[i].NN = 0, 0
	}
	if c.nowhere {
		return c.writeNowhere(ms)
	}
	if !c.opts.Strict {
		return c.writeCopies(ms)
	}
	var parts [2]part
	var failure error
	sent, posted := 0, 0
	end := func(p *part) { // until they end, the caller's memory is the provider's
		n, err := c.endPart(p, ms)
		if failure == nil {
			sent, failure = sent+n, err
		}
	}
	turn := 0
	for posted < len(ms) {
		p := &parts[turn]
		turn ^= 1
		end(p)
		want := min(len(ms)-posted, batchPart)
		p.first = posted
		err := c.postPart(p, ms[posted:posted+want])
		posted += p.n
		if err != nil {
			end(&parts[turn])
			end(p)
			if failure == nil {
				failure = c.opError("write", ms[posted].Addr, err)
			}
			return sent, failure
		}
	}
	end(&parts[turn])
	end(&parts[turn^1])
	return sent, failure
}

// writeNowhere is WriteBatch on a connection that was dialled to port 0.
func (c *Conn) writeNowhere(ms []Message) (sent int, err error) {
	for i := range ms {
		m := &ms[i]
		if _, err = c.destinationOf(m.Addr); err == nil {
			err = c.sendNowhere(sizeOf(m))
		}
		if err != nil {
			return i, c.opError("write", m.Addr, err)
		}
		m.N, m.NN = sizeOf(m), len(m.OOB)
	}
	return len(ms), nil
}

// postPart passes messages to the provider. An error says why the one behind those was not.
func (c *Conn) postPart(p *part, ms []Message) (err error) {
	p.n = 0
	ops := p.ops[:len(ms)]
	if err := c.writes.beginAll(ops); err != nil {
		return err
	}
	batch := &ops[0].batch
	batch.Sends = grow(batch.Sends, len(ms))
	for i, o := range ops {
		if err = c.describe(&batch.Sends[i], o, &ms[i]); err != nil {
			break
		}
		p.n++
	}
	batch.Sends = batch.Sends[:p.n]
	c.socket.SendBatch(batch)
	used := max(p.n, 1) // the first one has the batch
	c.writes.endAll(ops[used:])
	if p.n == 0 {
		c.writes.endAll(ops[:used])
	}
	return err
}

// describe makes a send of a message, in the op's memory.
func (c *Conn) describe(send *wsk.BatchSend, o *op, m *Message) error {
	to, err := c.destinationOf(m.Addr)
	if err != nil {
		return err
	}
	var remote wsk.SOCKADDR
	is4 := c.is4
	if c.remote == nil {
		if remote, err = c.sockaddr(o, to); err != nil {
			return err
		}
		is4 = c.family == wsk.AF_INET || to.Addr().Unmap().Is4()
	}
	var control []byte
	if len(m.OOB) != 0 {
		if control, err = o.writeControl(m.OOB, is4); err != nil {
			return err
		}
	}
	o.pointAtAll(m.Buffers)
	*send = wsk.BatchSend{Buf: &o.buf, Remote: remote, Control: control, IRP: &o.irp}
	return nil
}

// endPart waits for what is under way of a part. It returns how many messages were sent before the first that was not,
// and why that was not.
func (c *Conn) endPart(p *part, ms []Message) (sent int, failure error) {
	ops := p.ops[:p.n]
	if len(ops) == 0 {
		return 0, nil
	}
	sends := ops[0].batch.Sends
	for i := len(ops) - 1; i >= 0; i-- { // the last one ends last, mostly: one sleep instead of many
		sends[i].Status = ops[i].wait(sends[i].Status)
	}
	for i, o := range ops {
		m := &ms[p.first+i]
		err := c.sent(o, "WskSendTo", sends[i].Status)
		if err == nil {
			m.N, m.NN = sizeOf(m), len(m.OOB)
		}
		switch {
		case failure != nil:
		case err != nil:
			failure = c.opError("write", m.Addr, err)
		default:
			sent++
		}
	}
	c.writes.endAll(ops)
	p.n = 0
	return sent, failure
}

func sizeOf(m *Message) int {
	n := 0
	for _, b := range m.Buffers {
		n += len(b)
	}
	return n
}

// destinationOf is the destination of a message, by the rules of package net.
func (c *Conn) destinationOf(addr net.Addr) (netip.AddrPort, error) {
	if addr == nil {
		if c.remote == nil {
			return netip.AddrPort{}, errMissingAddress
		}
		return netip.AddrPort{}, nil
	}
	if c.remote != nil {
		return netip.AddrPort{}, net.ErrWriteToConnected
	}
	a, ok := addr.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}, syscall.EINVAL
	}
	if a == nil {
		return netip.AddrPort{}, errMissingAddress
	}
	return addrPort(a)
}
