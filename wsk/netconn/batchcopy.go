// SPDX-License-Identifier: Apache-2.0

package netconn

import "github.com/wsk-xdp/wsk-xdp/wsk"

// copies are messages of a batch that have been handed over together.
type copies struct {
	ops  [batchPart]*op
	errs [batchPart]error
}

// writeCopies is WriteBatch for writes that do not wait until the datagrams have left.
func (c *Conn) writeCopies(ms []Message) (sent int, err error) {
	var p copies
	for sent < len(ms) {
		part := ms[sent:min(len(ms), sent+batchPart)]
		posted, err := c.postCopies(&p, part)
		accepted, refusal := c.acceptCopies(&p, part[:posted])
		sent += accepted
		if accepted < posted {
			return sent, c.opError("write", ms[sent].Addr, refusal)
		}
		if err != nil {
			return sent, c.opError("write", ms[sent].Addr, err)
		}
	}
	return sent, nil
}

// postCopies hands over copies of messages, as many as there is room for; it waits for room for the first. An error says
// why the one behind those was not handed over.
func (c *Conn) postCopies(p *copies, ms []Message) (n int, err error) {
	var batch *wsk.Batch
	for i := range ms {
		m := &ms[i]
		o, send, failed := c.copyMessage(m, i == 0)
		if o == nil {
			err = failed
			break
		}
		if i == 0 {
			batch = &o.batch
			batch.Sends = grow(batch.Sends, len(ms))
		}
		p.ops[i], batch.Sends[i] = o, send
		n++
	}
	if n > 0 {
		batch.Sends = batch.Sends[:n]
		c.socket.SendBatch(batch)
	}
	return n, err
}

// copyMessage makes a send of a copy of a message. Without wait it returns no op, and no error, where there is no room.
func (c *Conn) copyMessage(m *Message, wait bool) (*op, wsk.BatchSend, error) {
	to, err := c.destinationOf(m.Addr)
	if err == nil {
		err = c.earlier(to)
	}
	size := sizeOf(m)
	if err == nil && size > largest {
		err = &StatusError{Call: "WskSendTo", Status: wsk.STATUS_INVALID_BUFFER_SIZE}
	}
	if err != nil {
		return nil, wsk.BatchSend{}, err
	}
	o, err := c.writes.beginCopy(size, to, wait)
	if o == nil {
		return nil, wsk.BatchSend{}, err
	}
	remote, control, err := c.aim(o, m.OOB, to, c.remote != nil)
	if err != nil {
		c.writes.endCopy(o)
		return nil, wsk.BatchSend{}, err
	}
	b := o.room(size)
	for n, at := 0, 0; n < len(m.Buffers); n++ {
		at += copy(b[at:], m.Buffers[n])
	}
	c.arm(o, b)
	return o, wsk.BatchSend{Buf: &o.buf, Remote: remote, Control: control, IRP: &o.irp}, nil
}

// acceptCopies is accepted for messages that were handed over together. It returns how many were taken before the first
// that was not, and why that was not.
func (c *Conn) acceptCopies(p *copies, ms []Message) (taken int, refusal error) {
	for i := len(ms) - 1; i >= 0; i-- { // the first one has the statuses, and is given back last
		p.errs[i] = c.accepted(p.ops[i], "WskSendTo", p.ops[0].batch.Sends[i].Status)
	}
	for i := range ms {
		switch m := &ms[i]; {
		case p.errs[i] == nil:
			m.N, m.NN = sizeOf(m), len(m.OOB)
			if refusal == nil {
				taken++
			}
		case refusal == nil:
			refusal = p.errs[i]
		}
	}
	return taken, refusal
}
