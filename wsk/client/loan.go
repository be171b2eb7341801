// SPDX-License-Identifier: Apache-2.0

package client

import (
	"sync"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// message is a RECV message and the memory that it lies in.
type message struct {
	buf  []byte
	recv ipc.Recv
	pool *loans
	done func()        // called when nothing of it is lent any more
	list *wsk.Datagram // its datagrams, linked
	left atomic.Int32  // datagrams whose payload lies in buf and is still lent
	next *message
}

func newMessage() *message { return &message{buf: make([]byte, ipc.MaxMessage)} }

// loan is one datagram, lent to a socket.
type loan struct {
	wsk.Datagram
	err     wsk.ReceiveError
	message *message // that the payload lies in; nil once it has been moved
	chunk   []byte   // that it was moved to, if that is one of the pool's
	pool    *loans
	lent    atomic.Bool
	next    *loan
}

const (
	chunkSize  = 2048 // what most datagrams fit into
	idleMost   = 16   // messages that the pool keeps
	chunksMost = 1024 // chunks that the pool keeps
)

// loans are what is not lent: messages, datagrams, and chunks for payloads that are kept. The zero value is ready.
type loans struct {
	mu       sync.Mutex
	messages *message
	idle     int
	free     *loan
	chunks   [][]byte
}

// message takes a message out of the pool, or makes one.
func (l *loans) message() *message {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.messages
	if m == nil {
		return newMessage()
	}
	l.messages, m.next = m.next, nil
	l.idle--
	return m
}

// lend makes datagrams of the records of a message. done is called once when nothing of it is lent any more.
func (m *message) lend(pool *loans, done func()) {
	m.pool, m.done = pool, done
	records := m.recv.Records()
	m.left.Store(int32(len(records)))
	pool.mu.Lock()
	defer pool.mu.Unlock()
	link := &m.list
	for i := range records {
		l := pool.free
		if l == nil {
			l = new(loan)
			l.pool = pool
		} else {
			pool.free, l.next = l.next, nil
		}
		l.fill(&records[i])
		l.message = m
		l.lent.Store(true)
		*link, link = &l.Datagram, &l.Next
	}
}

func (l *loan) fill(r *ipc.Received) {
	l.Datagram = wsk.Datagram{
		Payload:     r.Payload,
		Source:      wsk.Address{Addr: r.Source, Scope: r.Scope, Port: r.Port},
		Destination: r.Destination,
		IfIndex:     r.IfIndex,
		TTL:         r.TTL, TOS: r.TOS, Cast: wsk.Cast(r.Cast), Segment: r.Segment,
		Lender: l,
	}
	if r.Kind == ipc.KindError {
		l.err = wsk.ReceiveError{Protocol: r.Protocol, Type: r.Type, Code: r.Code, Info: r.Info}
		l.Err = &l.err
	}
}

func (m *message) take() *wsk.Datagram {
	d := m.list
	m.list = nil
	return d
}

// discard gives all datagrams back that nobody has seen.
func (m *message) discard() { discard(m.take()) }

func discard(d *wsk.Datagram) {
	for d != nil {
		next := d.Next
		d.Release()
		d = next
	}
}

// Release implements wsk.Lender.
func (l *loan) Release(d *wsk.Datagram) {
	if d != &l.Datagram || !l.lent.CompareAndSwap(true, false) {
		panic("client: a datagram was released twice, or to the wrong lender")
	}
	m, chunk, pool := l.message, l.chunk, l.pool
	l.Datagram, l.message, l.chunk = wsk.Datagram{}, nil, nil
	pool.mu.Lock()
	l.next, pool.free = pool.free, l
	if chunk != nil && len(pool.chunks) < chunksMost {
		pool.chunks = append(pool.chunks, chunk)
	}
	pool.mu.Unlock()
	if m != nil {
		m.drop()
	}
}

// Keep implements wsk.Lender: the payload leaves the message, whose memory holds up to 64 datagrams.
func (l *loan) Keep(d *wsk.Datagram) {
	m := l.message
	if m == nil {
		return // it has been moved before
	}
	var to []byte
	if len(d.Payload) <= chunkSize {
		l.chunk = l.pool.chunk()
		to = l.chunk
	} else {
		to = make([]byte, len(d.Payload))
	}
	d.Memory = uint32(len(to))
	d.Payload = to[:copy(to, d.Payload)]
	l.message = nil
	m.drop()
}

func (l *loans) chunk() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.chunks)
	if n == 0 {
		return make([]byte, chunkSize)
	}
	c := l.chunks[n-1]
	l.chunks = l.chunks[:n-1]
	return c
}

// drop says that one datagram less lies in the message. With the last one it goes back to the pool.
func (m *message) drop() {
	if m.left.Add(-1) != 0 {
		return
	}
	pool, done := m.pool, m.done
	m.pool, m.done = nil, nil
	pool.mu.Lock()
	if pool.idle < idleMost {
		m.next, pool.messages = pool.messages, m
		pool.idle++
	}
	pool.mu.Unlock()
	done()
}
