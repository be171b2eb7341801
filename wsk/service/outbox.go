// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/peer"
)

// body is the body of a message.
type body interface{ Append([]byte) []byte }

// outbox builds the messages to a client in one piece of memory. Its lock is taken after no other.
type outbox struct {
	session *session

	mu   sync.Mutex
	b    []byte
	done ipc.Done
	kept kept
}

// post builds a message and sends it. A client that does not read until its socket is full has no more session.
func (o *outbox) post(build func(b []byte) []byte) {
	o.mu.Lock()
	o.postLocked(build)
	o.mu.Unlock()
}

func (o *outbox) postLocked(build func(b []byte) []byte) {
	o.kept.flush()
	o.b = build(o.b[:0])
	o.send(o.b)
}

// work says that the session's goroutine has a SEND in hand.
func (o *outbox) work() {
	o.mu.Lock()
	o.kept.working = true
	o.mu.Unlock()
}

// rest is called before the session's goroutine waits.
func (o *outbox) rest() {
	o.mu.Lock()
	o.kept.rest()
	o.mu.Unlock()
}

// flush sends the replies that were kept.
func (o *outbox) flush() {
	o.mu.Lock()
	o.kept.flush()
	o.mu.Unlock()
}

// send sends a message that lies in the outbox or is otherwise the caller's.
func (o *outbox) send(msg []byte) {
	err := o.session.conn.Send(msg)
	if errors.Is(err, peer.ErrFull) {
		o.session.server.stats.full.Add(1)
		o.session.log.Load().Warn("a client does not read its messages, and is disconnected")
		o.session.conn.Break()
	}
}

// reply answers a request with success, or with a failure whose reason and text follow from the status.
func (n *session) reply(h ipc.Header, status wsk.NTSTATUS, m body) {
	n.answer(h, status, reasonOf(status), "", m)
}

// fail answers a request with a failure.
func (n *session) fail(h ipc.Header, status wsk.NTSTATUS, reason ipc.Reason, text string) {
	n.answer(h, status, reason, text, nil)
}

func (n *session) answer(h ipc.Header, status wsk.NTSTATUS, reason ipc.Reason, text string, m body) {
	n.answered(h)
	h.Type, h.Status = h.Type.Reply(), uint32(status)
	if status != wsk.STATUS_SUCCESS {
		if reason != ipc.ReasonNone {
			n.refused(reason)
		}
		if text == "" {
			if text = reason.Sentence(); text == "" {
				text = status.String()
			}
		}
		m = &ipc.Failure{Reason: reason, Text: text}
	}
	n.out.post(func(b []byte) []byte {
		b = h.Append(b)
		if m != nil {
			b = m.Append(b)
		}
		return b
	})
}

// notify sends a notification, of which there are none before the reply to HELLO.
func (n *session) notify(socket uint32, t ipc.Type, m body) {
	if !n.greeted.Load() {
		return
	}
	n.out.post(func(b []byte) []byte { return m.Append(ipc.Header{Type: t, Socket: socket}.Append(b)) })
}

// greet answers HELLO, sends ADDRESSES right behind it, and lets other notifications come from there on.
func (n *session) greet(h ipc.Header, w *ipc.Welcome) {
	o := &n.out
	o.mu.Lock()
	defer o.mu.Unlock()
	n.answered(h)
	h.Type = h.Type.Reply()
	o.postLocked(func(b []byte) []byte { return w.Append(h.Append(b)) })
	n.greeted.Store(true)
	o.postLocked(n.appendAddresses)
}

func (n *session) appendAddresses(b []byte) []byte {
	m := ipc.Addresses{List: n.server.host.addresses()}
	return m.Append(ipc.Header{Type: ipc.TypeAddresses}.Append(b))
}

// tellAddresses sends the addresses of the host. They are read where the order of the messages is made, so that older ones
// never come last.
func (n *session) tellAddresses() {
	if n.greeted.Load() {
		n.out.post(n.appendAddresses)
	}
}

// refused counts and logs a refusal.
func (n *session) refused(reason ipc.Reason) {
	g := n.granted.Load()
	n.server.stats.denied(g.grant.Name, reason, 1)
	if n.server.stats.mayLog(n.number, reason) {
		n.log.Load().Warn("refused", "grant", g.grant.Name, "reason", reason)
	}
}

// pace bounds how often a client asks for what costs system calls. A client that asks more often waits: nobody reads
// its messages meanwhile.
type pace struct {
	at    time.Time
	spare time.Duration
}

const (
	pacePerRequest = 100 * time.Microsecond // of its own time: 10,000 requests a second
	paceBurst      = 100 * time.Millisecond
)

func (p *pace) wait(ipc.Type) {
	now := time.Now()
	if p.at.IsZero() {
		p.spare = paceBurst
	} else {
		p.spare = min(p.spare+now.Sub(p.at), paceBurst)
	}
	p.at = now
	if p.spare -= pacePerRequest; p.spare < 0 {
		time.Sleep(-p.spare)
	}
}
