// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// socket is a client's socket in the daemon.
type socket struct {
	p        *peer
	number   uint32
	family   uint16
	endpoint wsk.ReceivingEndpoint

	mu     sync.Mutex
	out    map[uint32][]*wsk.IRP // what is under way, by ID
	closed func()                // called when nothing is
	credit uint32
	held   []*wsk.Datagram // what there is no credit for
	writer ipc.RecvWriter
	buf    []byte
}

func (s *socket) Dead() {
	s.p.write(ipc.Header{Type: ipc.TypeDead, Socket: s.number}, new(ipc.Failure).Append(nil))
}

func (s *socket) handle(h ipc.Header, body []byte, send *ipc.Send) error {
	switch h.Type {
	case ipc.TypeSend:
		return s.send(h, body, send)
	case ipc.TypeCredit:
		return s.moreCredit(body)
	case ipc.TypeCancel:
		return s.cancel(h, body)
	case ipc.TypeMTU:
		return s.mtu(h, body)
	case ipc.TypeConfigure:
		var c ipc.Configure
		if err := c.Decode(body); err != nil {
			return err
		}
		s.endpoint.Configure(wsk.ReceiveOptions{Errors: c.Errors, MaxCoalesced: c.MaxCoalesced, BufferBytes: c.BufferBytes})
		s.p.reply(h, wsk.STATUS_SUCCESS, nil)
	case ipc.TypeMembership:
		var m ipc.Membership
		if err := m.Decode(body); err != nil {
			return err
		}
		status := s.endpoint.Change(wsk.Membership{
			Change: wsk.MembershipChange(m.Change), Group: m.Group, Source: m.Source, Local: m.Local, IfIndex: m.IfIndex,
		})
		s.p.reply(h, status, nil)
	case ipc.TypeAbort:
		s.endpoint.Abort()
		s.p.reply(h, wsk.STATUS_SUCCESS, nil)
	case ipc.TypeClose:
		s.endpoint.Abort()
		s.close(func() {
			s.p.mu.Lock()
			delete(s.p.sockets, s.number)
			s.p.mu.Unlock()
			s.p.reply(h, wsk.STATUS_SUCCESS, nil)
		})
	}
	return nil
}

// close closes the endpoint when nothing is under way any more.
func (s *socket) close(done func()) {
	s.mu.Lock()
	f := func() {
		s.endpoint.Close(func() {
			s.drop()
			done()
		})
	}
	if len(s.out) > 0 {
		s.closed, f = f, func() {}
	}
	s.mu.Unlock()
	f()
}

// drop gives back what the client had no credit for and will not ask for any more.
func (s *socket) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.held {
		d.Release()
	}
	s.held = nil
}

func (s *socket) send(h ipc.Header, body []byte, send *ipc.Send) error {
	if err := send.Decode(body); err != nil {
		return err
	}
	batch := &batch{s: s, h: h, left: len(send.Datagrams())}
	for _, d := range send.Datagrams() {
		to := wsk.Destination{
			Addr: d.Addr, Source: d.Source, IfIndex: d.IfIndex, Port: d.Port, TTL: d.TTL, TOS: d.TOS,
			Fragment: wsk.FragmentPolicy(d.Fragment), Flags: wsk.DestinationFlags(d.Flags),
		}
		mdl := wsk.AllocateMDL(append([]byte(nil), d.Payload...))
		irp := wsk.AllocateIRP()
		irp.SetCompletionRoutine(func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
			batch.ended(irp, d.ID, d.Length)
			return wsk.STATUS_SUCCESS
		}, nil, true, true, true)
		op := irp.Relay(&to, &wsk.Buf{Mdl: mdl, Length: uintptr(d.Length)}, uint32(d.Segment))
		s.mu.Lock()
		s.out[d.ID] = append(s.out[d.ID], irp)
		s.mu.Unlock()
		s.endpoint.Send(op)
	}
	return nil
}

// batch is a SEND that is under way. Each of its entries is told of by itself.
type batch struct {
	s    *socket
	h    ipc.Header
	mu   sync.Mutex
	left int
}

func (b *batch) ended(irp *wsk.IRP, id, length uint32) {
	c := ipc.Completion{ID: id, Status: uint32(irp.IoStatus.Status), Bytes: length}
	if c.Status != 0 {
		c.Bytes = 0
	}
	b.mu.Lock()
	b.left--
	done := ipc.Done{Left: uint32(b.left)}
	done.Add(c)
	b.s.p.reply(b.h, wsk.STATUS_SUCCESS, done.Append(nil))
	b.mu.Unlock()
	b.s.ended(irp, id)
}

func (s *socket) ended(irp *wsk.IRP, id uint32) {
	s.mu.Lock()
	var rest []*wsk.IRP
	for _, o := range s.out[id] {
		if o != irp {
			rest = append(rest, o)
		}
	}
	if s.out[id] = rest; rest == nil {
		delete(s.out, id)
	}
	var f func()
	if len(s.out) == 0 {
		f, s.closed = s.closed, nil
	}
	s.mu.Unlock()
	if f != nil {
		f()
	}
}

func (s *socket) cancel(h ipc.Header, body []byte) error {
	var c ipc.Cancel
	if err := c.Decode(body); err != nil {
		return err
	}
	s.mu.Lock()
	list := append([]*wsk.IRP(nil), s.out[c.ID]...)
	s.mu.Unlock()
	status := wsk.STATUS_NOT_FOUND
	for _, irp := range list {
		if irp.Cancel() {
			status = wsk.STATUS_SUCCESS
			break
		}
	}
	s.p.reply(h, status, nil)
	return nil
}

func (s *socket) mtu(h ipc.Header, body []byte) error {
	var path ipc.Path
	if err := path.Decode(body); err != nil {
		return err
	}
	to := wsk.Destination{Addr: path.To.Addr, Port: path.To.Port}
	bytes, status := s.endpoint.MTU(&to)
	if status != wsk.STATUS_SUCCESS {
		s.p.reply(h, status, nil)
		return nil
	}
	answer := ipc.MTU{Bytes: uint32(bytes)}
	s.p.reply(h, status, answer.Append(nil))
	return nil
}

// Receive implements wsk.Receiver.
func (s *socket) Receive(list *wsk.Datagram) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := list; d != nil; {
		next := d.Next
		s.held = append(s.held, d)
		d = next
	}
	s.flush()
}

func (s *socket) moreCredit(body []byte) error {
	var c ipc.Credit
	if err := c.Decode(body); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credit += c.Messages
	s.flush()
	return nil
}

// flush passes on what there is credit for.
func (s *socket) flush() {
	for len(s.held) > 0 && s.credit > 0 {
		if s.buf == nil {
			s.buf = make([]byte, 0, ipc.MaxMessage)
		}
		s.writer.Begin(s.buf, s.number)
		for len(s.held) > 0 && s.add(s.held[0]) {
			s.held[0].Release()
			s.held = s.held[1:]
		}
		s.credit--
		s.p.conn.Write(s.writer.Message())
	}
}

func (s *socket) add(d *wsk.Datagram) bool {
	r := ipc.Record{
		Length: uint32(len(d.Payload)), Source: d.Source.Addr, Scope: d.Source.Scope, Port: d.Source.Port,
		Destination: d.Destination, IfIndex: d.IfIndex, Segment: d.Segment, TTL: d.TTL, TOS: d.TOS, Cast: uint8(d.Cast),
	}
	if d.Err != nil {
		r.Kind, r.Protocol, r.Type, r.Code, r.Info = ipc.KindError, d.Err.Protocol, d.Err.Type, d.Err.Code, d.Err.Info
	}
	payload, ok := s.writer.Add(&r)
	if ok {
		copy(payload, d.Payload)
	}
	return ok
}
