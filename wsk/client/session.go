// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// session is one connection to the daemon.
type session struct {
	t     *Transport
	conn  *connection
	done  completions
	loans loans

	ended     chan struct{} // closed when nothing reads or writes any more
	addressed chan struct{} // closed with the first ADDRESSES

	mu        sync.Mutex
	over      bool  // nothing new begins
	cause     error // of the end, once over
	leaving   bool  // GOODBYE: the daemon takes no socket any more
	addresses []ipc.InterfaceAddress
	sockets   map[uint32]*endpoint
	serial    uint32 // the last socket number
	calls     calls
	outbox    []request   // requests that wait for the writer
	ready     []*endpoint // those that have something to send or credit to give, the next one first
	idle      bool        // the writer sleeps
	wake      chan struct{}
}

// answerTimeout is for the calls that make a round trip.
const answerTimeout = 2 * time.Second

// request is a message that waits for the writer.
type request struct {
	kind   ipc.Type
	socket uint32
	body   []byte
	// reply, if set, is called once, by the reader or at the end of the session: with the body of a success, or the
	// error, which is a [Refusal] where the daemon has failed it. The mutex is not held. The body is the reader's again
	// afterwards.
	reply func(body []byte, err error)
}

func newSession(t *Transport, conn *connection) *session {
	s := &session{
		t: t, conn: conn,
		ended: make(chan struct{}), addressed: make(chan struct{}), wake: make(chan struct{}, 1),
		sockets: make(map[uint32]*endpoint),
	}
	s.done.users, s.done.wake, s.done.refused = 1, make(chan struct{}, 1), t.refused
	return s
}

// start lets the session run. Its goroutines end when the connection does, and the last one when no endpoint is left.
func (s *session) start() {
	var both sync.WaitGroup
	both.Go(s.readAll)
	both.Go(s.writeAll)
	go s.runCompletions()
	go func() {
		both.Wait()
		s.conn.Close()
		s.bury()
		s.t.forget(s)
		close(s.ended)
	}()
}

// has says whether the session has a feature.
func (s *session) has(f ipc.Features) bool { return s.conn.welcome.Features&f != 0 }

func (s *session) takesSockets() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.over && !s.leaving
}

// drainTime is how long the reader reads on after the writer has failed: what the daemon has sent before it went is
// there already.
const drainTime = time.Second

// end begins the end of the session. The first cause counts.
func (s *session) end(cause error) {
	s.mu.Lock()
	first := !s.over
	if first {
		s.over, s.cause = true, cause
	}
	s.signal()
	s.mu.Unlock()
	if first {
		s.conn.SetDeadline(time.Now())
	}
}

// leave ends a session that the daemon has said goodbye to, once no socket is left: the daemon waits for that.
func (s *session) leave() {
	s.mu.Lock()
	unused := s.leaving && len(s.sockets) == 0
	s.mu.Unlock()
	if unused {
		s.end(errGone)
	}
}

// signal wakes the writer. The mutex is held.
func (s *session) signal() {
	if !s.idle {
		return
	}
	s.idle = false
	s.wake <- struct{}{} // has room: the writer sleeps
}

// post hands a request to the writer. At the end of the session it is answered at once.
func (s *session) post(r request) {
	s.mu.Lock()
	if s.over {
		cause := s.cause
		s.mu.Unlock()
		if r.reply != nil {
			r.reply(nil, cause)
		}
		return
	}
	s.enqueue(r)
	s.mu.Unlock()
}

// enqueue hands a request to the writer of a session that is not over. The mutex is held.
func (s *session) enqueue(r request) {
	s.outbox = append(s.outbox, r)
	s.signal()
}

// answer is what a round trip has brought.
type answer struct {
	body []byte
	err  error
}

// ask makes a round trip. It waits for the answer at most answerTimeout, and is not for the goroutines that read and
// write.
func (s *session) ask(kind ipc.Type, socket uint32, body []byte, decode func([]byte) error) wsk.NTSTATUS {
	answers := make(chan answer, 1)
	s.post(request{kind: kind, socket: socket, body: body, reply: func(body []byte, err error) {
		answers <- answer{bytes.Clone(body), err}
	}})
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	select {
	case a := <-answers:
		if a.err == nil {
			if a.err = decode(a.body); a.err != nil {
				s.end(a.err)
			}
		}
		if a.err != nil {
			return statusOf(a.err)
		}
		return wsk.STATUS_SUCCESS
	case <-timer.C:
		return wsk.STATUS_IO_TIMEOUT
	}
}

// runCompletions is the goroutine.
func (s *session) runCompletions() {
	var batch []event
	for {
		s.mu.Lock()
		for len(s.done.list) == 0 {
			if s.done.users == 0 {
				s.mu.Unlock()
				return
			}
			s.done.idle = true
			s.mu.Unlock()
			<-s.done.wake
			s.mu.Lock()
		}
		batch, s.done.list = s.done.list, batch[:0]
		s.mu.Unlock()
		s.done.complete(batch)
		clear(batch)
	}
}

// hostAddresses are those of the daemon's host. They come behind the answer to HELLO.
func (s *session) hostAddresses() []ipc.InterfaceAddress {
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	select {
	case <-s.addressed:
	case <-s.ended:
	case <-timer.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.addresses)
}

// bury ends all that is left, once nothing reads or writes any more: whatever the writer has looked at is at rest.
func (s *session) bury() {
	s.mu.Lock()
	s.over = true
	if s.cause == nil {
		s.cause = errGone
	}
	cause := s.cause
	replies := s.calls.takeReplies()
	for _, r := range s.outbox {
		if r.reply != nil {
			replies = append(replies, r.reply)
		}
	}
	s.outbox, s.ready = nil, nil
	if r, ok := cause.(Refusal); ok {
		s.done.call(func() { s.t.refused(r) })
	}
	for _, ep := range s.sockets {
		ep.die()
	}
	for _, ep := range s.sockets {
		ep.bury()
	}
	s.done.leave()
	s.mu.Unlock()
	for _, reply := range replies {
		reply(nil, cause)
	}
}
