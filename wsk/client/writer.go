// SPDX-License-Identifier: Apache-2.0

package client

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// writeAll is the goroutine that writes messages: requests first, then endpoints in turn.
func (s *session) writeAll() {
	o := outgoing{buf: make([]byte, 0, s.conn.welcome.MaxMessage)}
	for {
		msg := s.next(&o)
		if msg == nil {
			return
		}
		if _, err := s.conn.Write(msg); err != nil {
			s.writeFailed()
			return
		}
	}
}

// writeFailed is called when the daemon does not take messages any more: it is gone, mostly. What it has sent before is
// read, its reason above all, and then there is the end of the connection.
func (s *session) writeFailed() {
	s.mu.Lock()
	ended := s.over
	s.mu.Unlock()
	if !ended {
		s.conn.SetReadDeadline(time.Now().Add(drainTime))
	}
}

// next waits for something to write, and is nil at the end of the session.
func (s *session) next(o *outgoing) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.over {
		if len(s.outbox) > 0 && s.calls.requests < ipc.MaxRequests {
			return s.nextRequest(o)
		}
		if len(s.ready) > 0 {
			ep := s.ready[0]
			copy(s.ready, s.ready[1:])
			s.ready = s.ready[:len(s.ready)-1]
			ep.isReady = false
			if msg := s.nextOf(ep, o); msg != nil {
				return msg
			}
			continue
		}
		s.idle = true
		s.mu.Unlock()
		<-s.wake
		s.mu.Lock()
	}
	return nil
}

func (s *session) nextRequest(o *outgoing) []byte {
	r := s.outbox[0]
	s.outbox[0] = request{}
	s.outbox = s.outbox[1:]
	seq := s.calls.begin(call{kind: r.kind, socket: r.socket, reply: r.reply})
	return append(ipc.Header{Type: r.kind, Seq: seq, Socket: r.socket}.Append(o.buf[:0]), r.body...)
}

// nextOf is the next message of an endpoint: credit first, or else datagrams. An endpoint that has more goes to the end
// of the line. The payloads are copied with the mutex let go.
func (s *session) nextOf(ep *endpoint, o *outgoing) []byte {
	if credit := ep.takeCredit(); credit > 0 {
		s.makeReady(ep)
		body := ipc.Credit{Messages: credit}
		return body.Append(ipc.Header{Type: ipc.TypeCredit, Socket: ep.number}.Append(o.buf[:0]))
	}
	if !ep.fill(o) {
		return nil
	}
	s.makeReady(ep)
	s.mu.Unlock()
	o.copy()
	s.mu.Lock()
	s.filled(o)
	return o.writer.Message()
}

// makeReady puts an endpoint into the line, if it has something for the writer. The mutex is held.
func (s *session) makeReady(ep *endpoint) {
	if ep.isReady || !ep.hasWork() {
		return
	}
	ep.isReady = true
	s.ready = append(s.ready, ep)
	s.signal()
}
