// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// run is one WskSendMessages of a batch: messages with the same destination and the same control messages.
type run struct {
	op       *op
	from, to int // ms[from:to]
	status   wsk.NTSTATUS
	err      error
}

// WriteBatch sends the messages in their order, each run of messages with one destination and equal OOB by one
// WskSendMessages, and returns when all have left. It returns the number of messages before the first that was not
// sent. If that is not all of them, err says why; messages behind it may have been sent nevertheless: N is set for each
// message that was sent, and 0 for the others. A run is sent or not as a whole. flags may contain MSG_DONTWAIT of
// Linux, which changes nothing.
func (c *Conn) WriteBatch(ms []Message, flags int) (int, error) {
	if flags&^linuxMsgDontWait != 0 {
		return 0, c.opError("write", nil, errors.ErrUnsupported)
	}
	// Most batches are one run, which takes no memory.
	var one [1]run
	runs := one[:0]
	for from := 0; from < len(ms); {
		to := from + 1
		for to < len(ms) && sameRun(&ms[from], &ms[to]) {
			to++
		}
		r := run{from: from, to: to}
		r.op, r.status, r.err = c.postRun(ms[from:to])
		runs = append(runs, r)
		if r.op == nil {
			break
		}
		from = to
	}
	return c.endRuns(ms, runs)
}

// endRuns waits for all runs that have been posted: until they end, the caller's memory is the provider's.
func (c *Conn) endRuns(ms []Message, runs []run) (int, error) {
	sent, last := 0, 0
	var failure error
	for i := range runs {
		r := &runs[i]
		if r.op != nil {
			r.err = c.sent(r.op, "WskSendMessages", r.op.wait(r.status))
			c.writes.end(r.op)
		}
		for j := r.from; j < r.to; j++ {
			m := &ms[j]
			if m.N, m.NN = 0, 0; r.err == nil {
				m.N, m.NN = m.size(), len(m.OOB)
			}
		}
		last = r.to
		switch {
		case failure != nil:
		case r.err != nil:
			failure = c.opError("write", ms[r.from].Addr, r.err)
		default:
			sent = r.to
		}
	}
	for j := last; j < len(ms); j++ {
		ms[j].N, ms[j].NN = 0, 0
	}
	return sent, failure
}

func (m *Message) size() int {
	n := 0
	for _, b := range m.Buffers {
		n += len(b)
	}
	return n
}

func sameRun(a, b *Message) bool { return sameAddr(a.Addr, b.Addr) && bytes.Equal(a.OOB, b.OOB) }

func sameAddr(a, b net.Addr) bool {
	x, ok := a.(*net.UDPAddr)
	y, ok2 := b.(*net.UDPAddr)
	if !ok || !ok2 {
		return a == nil && b == nil
	}
	return x == y || x != nil && y != nil && x.Port == y.Port && x.Zone == y.Zone && x.IP.Equal(y.IP)
}

// postRun passes a run to the provider. If it returns no op, nothing was passed, and err says why.
func (c *Conn) postRun(ms []Message) (*op, wsk.NTSTATUS, error) {
	to, err := c.destinationOf(ms[0].Addr)
	if err != nil {
		return nil, 0, err
	}
	o, err := c.writes.begin()
	if err != nil {
		return nil, 0, err
	}
	var remote wsk.SOCKADDR
	is4 := c.is4
	if c.remote == nil {
		remote, err = c.sockaddr(o, to)
		is4 = c.family == wsk.AF_INET || to.Addr().Unmap().Is4()
	}
	var control []byte
	if err == nil && len(ms[0].OOB) != 0 {
		control, err = o.writeControl(ms[0].OOB, is4)
	}
	if err != nil {
		c.writes.end(o)
		return nil, 0, err
	}
	return o, c.socket.SendMessages(o.list(ms), 0, remote, control, &o.irp), nil
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

// list describes the messages of a run as a WSK_BUF_LIST in the op's memory.
func (o *op) list(ms []Message) *wsk.BufList {
	n := 0
	for i := range ms {
		n += len(ms[i].Buffers)
	}
	o.mdls, o.nodes = grow(o.mdls, n), grow(o.nodes, len(ms))
	mdls := o.mdls
	for i := range ms {
		bufs := ms[i].Buffers
		o.nodes[i] = wsk.BufList{Buffer: chain(mdls[:len(bufs)], bufs)}
		mdls = mdls[len(bufs):]
		if i > 0 {
			o.nodes[i-1].Next = &o.nodes[i]
		}
	}
	return &o.nodes[0]
}
