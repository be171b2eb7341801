// SPDX-License-Identifier: Apache-2.0

package client

import (
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// receiving is the receiving half of an endpoint.
type receiving struct {
	receiver wsk.Receiver // nil: the socket only sends
	done     func()       // a message has been given back

	// The session's mutex guards these.
	allowed uint32 // RECV messages that the daemon may send
	used    uint32 // that have been read to the end since the last CREDIT
	due     uint32 // of the next CREDIT

	mu         sync.Mutex // below the session's
	list       *message   // what waits for the goroutine
	tail       *message
	idle       bool
	wake       chan struct{}
	delivering bool // the socket's callback is running
	closed     bool
	quiet      func() // called when the callback has returned
}

// push queues a message, unless the endpoint has been closed.
func (r *receiving) push(m *message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	if m.next = nil; r.list == nil {
		r.list = m
	} else {
		r.tail.next = m
	}
	r.tail = m
	r.signal()
	return true
}

func (r *receiving) signal() {
	if r.idle {
		r.idle = false
		r.wake <- struct{}{} // has room: the goroutine sleeps
	}
}

// deliver hands the datagrams up, in lists of one cast, until the endpoint is closed.
func (r *receiving) deliver(m *message) {
	for d := m.take(); d != nil; {
		if r.isClosed() {
			discard(d)
			return
		}
		last := d
		for last.Next != nil && last.Next.Cast == d.Cast {
			last = last.Next
		}
		rest := last.Next
		last.Next = nil
		r.receiver.Receive(d)
		d = rest
	}
}

// pop waits for a message. It is nil once the endpoint has been closed.
func (r *receiving) pop() *message {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.list == nil && !r.closed {
		r.idle = true
		r.mu.Unlock()
		<-r.wake
		r.mu.Lock()
	}
	if r.closed {
		return nil
	}
	m := r.list
	r.list = m.next
	r.delivering = true
	return m
}

func (r *receiving) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// shut lets no delivery begin any more.
func (r *receiving) shut() {
	r.mu.Lock()
	r.closed = true
	list := r.list
	r.list, r.tail = nil, nil
	r.signal()
	r.mu.Unlock()
	for m := list; m != nil; {
		next := m.next
		m.discard()
		m = next
	}
}

// whenQuiet calls f once no callback is running, after shut.
func (r *receiving) whenQuiet(f func()) {
	r.mu.Lock()
	if r.delivering {
		r.quiet = f
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	f()
}

// deliverAll is the goroutine that calls the socket, until the endpoint is closed.
func (r *receiving) deliverAll() {
	for {
		m := r.pop()
		if m == nil {
			return
		}
		r.deliver(m)
		r.mu.Lock()
		r.delivering = false
		quiet := r.quiet
		r.mu.Unlock()
		if quiet != nil {
			quiet()
			return
		}
	}
}
