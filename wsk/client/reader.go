// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// readAll is the goroutine that reads messages. It runs no routine and no callback.
func (s *session) readAll() {
	m := s.conn.message
	s.conn.message = nil
	var done ipc.Done
	for {
		n, err := read(s.conn.UnixConn, m.buf)
		if err == nil {
			m, err = s.take(m, n, &done)
		}
		if err != nil {
			s.end(err)
			return
		}
	}
}

// take takes a message of n bytes. The answer is the one to read into next.
func (s *session) take(m *message, n int, done *ipc.Done) (*message, error) {
	h, body, err := ipc.ParseAnswer(m.buf[:n])
	switch {
	case err != nil:
	case h.Type == ipc.TypeRecv:
		return s.received(h, body, m)
	case h.Type == ipc.TypeSend.Reply() && h.Status == 0:
		if err = done.Decode(body); err == nil {
			err = s.sent(h, done)
		}
	case h.Type.IsReply():
		err = s.answered(h, body)
	default:
		err = s.notified(h, body)
	}
	return m, err
}

// sent takes a reply to SEND.
func (s *session) sent(h ipc.Header, done *ipc.Done) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls.of(h)
	list := done.Completions()
	if c == nil || c.left < uint32(len(list)) || c.left-uint32(len(list)) != done.Left {
		return errUnasked
	}
	ep := s.sockets[h.Socket] // is there until the reply to CLOSE, which comes after the last of these
	if ep == nil {
		return errUnasked
	}
	if c.left = done.Left; c.left == 0 {
		s.calls.end(h.Seq)
		ep.out.sends--
	}
	err := ep.completed(h.Seq, list)
	s.makeReady(ep)
	return err
}

// answered takes any other reply.
func (s *session) answered(h ipc.Header, body []byte) error {
	s.mu.Lock()
	c := s.calls.of(h)
	if c == nil || c.kind == ipc.TypeSend {
		s.mu.Unlock()
		return errUnasked // a SEND has no failure of its own: its entries have
	}
	reply := c.reply
	s.calls.end(h.Seq)
	if len(s.outbox) > 0 {
		s.signal() // it may have waited for the place
	}
	s.mu.Unlock()
	var failure error
	if h.Status != 0 {
		failure = readRefusal(h.Type.Request(), h, body)
		var refusal Refusal
		if !errors.As(failure, &refusal) {
			if reply != nil {
				reply(nil, failure)
			}
			return failure
		}
		if h.Type != ipc.TypeOpen.Reply() && refusal.Reason != ipc.ReasonNone {
			s.mu.Lock()
			s.done.call(func() { s.t.refused(refusal) })
			s.mu.Unlock()
		}
	}
	if reply != nil {
		reply(body, failure)
	}
	return nil
}

// notified takes a notification other than RECV.
func (s *session) notified(h ipc.Header, body []byte) error {
	switch h.Type {
	case ipc.TypeAddresses:
		return s.hasAddresses(body)
	case ipc.TypeGoodbye:
		var goodbye ipc.Goodbye
		if err := goodbye.Decode(body); err != nil {
			return err
		}
		s.mu.Lock()
		s.leaving = true
		s.mu.Unlock()
		s.leave()
		return nil
	case ipc.TypeDead:
		return s.socketDied(h, body)
	}
	return readRefusal(ipc.TypeError, h, body)
}

func (s *session) hasAddresses(body []byte) error {
	var addresses ipc.Addresses
	if err := addresses.Decode(body); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addresses = addresses.List
	select {
	case <-s.addressed:
	default:
		close(s.addressed)
	}
	s.done.call(s.t.addressesChanged)
	return nil
}

func (s *session) socketDied(h ipc.Header, body []byte) error {
	err := readRefusal(ipc.TypeDead, h, body)
	var refusal Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	refusal.Status = wsk.STATUS_FILE_FORCED_CLOSED
	s.mu.Lock()
	defer s.mu.Unlock()
	ep := s.sockets[h.Socket]
	if ep == nil {
		return errSocket
	}
	if refusal.Reason != ipc.ReasonNone {
		s.done.call(func() { s.t.refused(refusal) })
	}
	ep.die()
	ep.endWaiting(wsk.STATUS_FILE_FORCED_CLOSED)
	return nil
}
