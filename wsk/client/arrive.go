// SPDX-License-Identifier: Apache-2.0

package client

import (
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// credit is how many RECV messages of a socket the client has room for. It gives back half of it at a time.
const credit = 8

// receive begins to receive, once the socket knows that it is bound.
func (ep *endpoint) receive() {
	s := ep.session.Load()
	if ep.in.receiver == nil || !s.has(ipc.FeatureReceive) {
		return
	}
	s.mu.Lock()
	if ep.closing || s.over {
		s.mu.Unlock()
		return
	}
	ep.in.due = credit
	s.makeReady(ep)
	s.mu.Unlock()
	ep.in.mu.Lock()
	defer ep.in.mu.Unlock()
	if !ep.in.closed {
		go ep.in.deliverAll()
	}
}

// takeCredit is what the daemon is to be told of. The session's mutex is held.
func (ep *endpoint) takeCredit() uint32 {
	due := ep.in.due
	ep.in.due = 0
	ep.in.allowed += due
	return due
}

// giveBack says that a message of the endpoint has been read to the end, or that nothing of it is in its memory any more.
func (ep *endpoint) giveBack() {
	s := ep.session.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	if ep.closing || s.over {
		return
	}
	if ep.in.used++; ep.in.used >= credit/2 {
		ep.in.due += ep.in.used
		ep.in.used = 0
		s.makeReady(ep)
	}
}

// received hands a RECV message to its socket. The answer is the message to read into next.
func (s *session) received(h ipc.Header, body []byte, m *message) (*message, error) {
	if err := m.recv.Decode(body); err != nil {
		return m, err
	}
	s.mu.Lock()
	ep := s.sockets[h.Socket]
	if ep == nil || ep.in.allowed == 0 {
		s.mu.Unlock()
		return m, errSocket
	}
	ep.in.allowed--
	closing := ep.closing
	s.mu.Unlock()
	if closing {
		return m, nil
	}
	m.lend(&s.loans, ep.in.done)
	if !ep.in.push(m) {
		m.discard()
	}
	return s.loans.message(), nil
}
