// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/peer"
)

// session is one client: its connection and its sockets. One goroutine reads its messages and does what they ask;
// replies come from any.
type session struct {
	server  *Server
	conn    *peer.Conn
	who     *peer.Identity
	user    *user
	number  uint64
	log     atomic.Pointer[slog.Logger] // HELLO gives it another one
	granted atomic.Pointer[granted]
	revoked atomic.Bool   // the policy grants nothing any more
	over    chan struct{} // closed when the client has gone

	regranting sync.Mutex // one reload at a time
	left       bool       // the server; guarded by regranting

	// Of the goroutine that reads.
	hello    bool
	greeted  atomic.Bool  // HELLO has been answered: notifications may go
	features ipc.Features // written before the reply to HELLO
	largest  int          // message, in both directions
	buffer   []byte       // the message that is being looked at; nil while there is none
	decoded  ipc.Send
	pace     pace

	out outbox

	mu       sync.Mutex
	reason   ipc.Reason // why, where the client did not just go
	text     string
	sockets  map[uint32]*socket
	asked    map[uint32]struct{} // sequence numbers without their last reply
	requests int                 // of them, those other than SEND
	open     sync.WaitGroup      // sockets that are not closed yet
}

func newSession(s *Server, c *peer.Conn, who *peer.Identity, u *user, g *granted) *session {
	n := &session{
		server: s, conn: c, who: who, user: u, largest: ipc.MaxMessage,
		sockets: make(map[uint32]*socket), asked: make(map[uint32]struct{}),
		over: make(chan struct{}),
	}
	n.out.session, n.out.kept.send = n, n.out.send
	n.granted.Store(g)
	return n
}

// run reads until the client goes, breaks a rule or is sent away, and then ends everything that it had.
func (n *session) run() {
	var err error
	for err == nil {
		var size int
		if size, err = n.receive(); err == nil {
			err = n.handle(n.buffer[:size])
		}
	}
	n.out.rest()
	n.note(err)
	close(n.over)
	n.mu.Lock()
	sockets := make([]*socket, 0, len(n.sockets))
	for _, k := range n.sockets {
		sockets = append(sockets, k)
	}
	reason, text := n.reason, n.text
	n.mu.Unlock()
	var last []byte
	if reason != ipc.ReasonNone {
		last = failure(ipc.TypeError, 0, reason, text)
	}
	n.conn.Close(last)
	for _, k := range sockets {
		k.close(0)
	}
	n.open.Wait()
	n.log.Load().Info("a client has gone", "reason", reason, "text", text)
	n.server.leave(n)
}

// receive waits for the next message. While it waits the memory for it is left to others, and no reply is kept back.
func (n *session) receive() (size int, err error) {
	n.buffer, size, err = n.conn.ReceiveLent(n.buffer, lent{n})
	return size, err
}

// lent is memory for one message each, that sessions have while they read.
type lent struct{ session *session }

var messages = sync.Pool{New: func() any { return new([ipc.MaxMessage]byte) }}

// Take implements peer.Memory.
func (lent) Take() []byte { return messages.Get().(*[ipc.MaxMessage]byte)[:] }

// Give implements peer.Memory: the session is about to wait.
func (l lent) Give(b []byte) {
	messages.Put((*[ipc.MaxMessage]byte)(b))
	l.session.out.rest()
}

// note keeps why the session ends, and counts what the client has broken.
func (n *session) note(err error) {
	var v *ipc.Violation
	n.mu.Lock()
	known := n.reason != ipc.ReasonNone
	n.mu.Unlock()
	switch {
	case known: // it was sent away
	case errors.As(err, &v):
	case errors.Is(err, peer.ErrRights):
		v = &ipc.Violation{Reason: ipc.ReasonRights, Rule: "nobody sends descriptors or other control data"}
	case errors.Is(err, peer.ErrSize):
		v = &ipc.Violation{Reason: ipc.ReasonBounds, Rule: "a message has 16 to 131072 bytes"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		v = &ipc.Violation{Reason: ipc.ReasonState, Rule: "HELLO comes within two seconds"}
	case !errors.Is(err, io.EOF):
		n.log.Load().Debug("the connection has failed", "err", err)
	}
	if v == nil {
		return
	}
	n.server.stats.violated(v)
	n.log.Load().Warn("a client has broken a rule of the protocol", "reason", v.Reason, "message", v.Type, "rule", v.Text())
	n.setReason(v.Reason, v.Text())
}

func (n *session) setReason(reason ipc.Reason, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.reason == ipc.ReasonNone {
		n.reason, n.text = reason, text
	}
}

// end ends the session from outside, with an ERROR that says why. It does not wait.
func (n *session) end(reason ipc.Reason, text string) {
	n.setReason(reason, text)
	n.conn.SetDeadline(time.Unix(1, 0)) // the reader wakes, and finds the reason
}

// handle does what one message asks for.
func (n *session) handle(msg []byte) error {
	if len(msg) > n.largest {
		return violation(ipc.ReasonBounds, 0, "a message is not larger than the session's largest")
	}
	h, body, err := ipc.ParseRequest(msg)
	if err != nil {
		return err
	}
	switch {
	case n.hello == (h.Type == ipc.TypeHello):
		return violation(ipc.ReasonState, h.Type, "HELLO is the first message, and comes once")
	case h.Type == ipc.TypeSend:
		n.out.work()
		return n.send(h, msg)
	}
	n.out.rest()
	n.pace.wait(h.Type)
	if h.Type == ipc.TypeCredit {
		return n.credit(h, body)
	}
	if err := n.ask(h); err != nil {
		return err
	}
	return n.request(h, body)
}

// ask takes note of a request other than SEND, which is answered later.
func (n *session) ask(h ipc.Header) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.asked[h.Seq]; ok {
		return violation(ipc.ReasonState, h.Type, "a sequence number is not in use")
	}
	if n.requests == ipc.MaxRequests {
		return violation(ipc.ReasonState, h.Type, "at most 64 requests are without a reply")
	}
	n.asked[h.Seq] = struct{}{}
	n.requests++
	return nil
}

// answered is the end of a request. It comes before the reply is sent, after which the client may use the number again.
func (n *session) answered(h ipc.Header) {
	n.mu.Lock()
	delete(n.asked, h.Seq)
	if h.Type != ipc.TypeSend {
		n.requests--
	}
	n.mu.Unlock()
}

// socket finds a socket that is open.
func (n *session) socket(h ipc.Header) (*socket, error) {
	n.mu.Lock()
	k := n.sockets[h.Socket]
	n.mu.Unlock()
	if k == nil || !k.isOpen() {
		return nil, violation(ipc.ReasonState, h.Type, "the socket is open")
	}
	return k, nil
}

func violation(reason ipc.Reason, t ipc.Type, rule string) error {
	return &ipc.Violation{Reason: reason, Type: t, Rule: rule}
}

// sayHello answers HELLO.
func (n *session) sayHello(h ipc.Header, body []byte) error {
	var m ipc.Hello
	if err := m.Decode(body); err != nil {
		return err
	}
	n.conn.SetDeadline(time.Time{})
	n.mu.Lock()
	ending := n.reason != ipc.ReasonNone
	n.mu.Unlock()
	if ending { // and that deadline was what should have told
		return io.EOF
	}
	w := m.Welcome(n.server.offered())
	g := n.granted.Load()
	w.Sockets = uint32(g.grant.Limits.Sockets)
	w.Instance, w.Version = n.server.instance, n.server.config.Version
	n.hello, n.features, n.largest = true, w.Features, int(w.MaxMessage)
	if m.Name != "" {
		n.log.Store(n.log.Load().With("name", m.Name))
	}
	n.greet(h, &w)
	switch { // what would have said so before has found nobody who may be told
	case n.server.isDraining():
		n.notify(0, ipc.TypeGoodbye, &ipc.Goodbye{After: goodbye})
	case n.revoked.Load():
		n.notify(0, ipc.TypeGoodbye, &ipc.Goodbye{After: revokedAfter})
	}
	return nil
}

// offered are the features of this server.
func (s *Server) offered() ipc.Features {
	f := ipc.FeatureSegment
	if _, ok := s.host.lookout.(wsk.ReceivingEndpoint); ok {
		f |= ipc.FeatureReceive | ipc.FeatureCoalesced | ipc.FeatureMulticast | ipc.FeatureErrors
	}
	return f
}
