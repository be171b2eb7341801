// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// inbox holds the events while the follower is busy, so that the kernel's queue stays empty during a dump.
type inbox struct {
	wake chan struct{}
	// routes6 counts the events about IPv6 routes. A dump during which some came may have passed over others.
	routes6 atomic.Uint64
	// waits: there are events of other things than neighbours, which change too often to count here.
	waits atomic.Bool

	mu    sync.Mutex
	bytes []byte
	lost  bool
}

// inboxLimit bounds what waits: some 100,000 events.
const inboxLimit = 32 << 20

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// put adds events; too many of them are lost.
func (x *inbox) put(b []byte) {
	x.mu.Lock()
	x.note(b)
	if len(x.bytes)+len(b) > inboxLimit {
		x.bytes, x.lost = x.bytes[:0], true
	} else {
		x.bytes = append(x.bytes, b...)
		for n := len(x.bytes); n&3 != 0; n++ {
			x.bytes = append(x.bytes, 0)
		}
	}
	x.mu.Unlock()
	x.ring()
}

// lose throws away what waits: it is older than what was lost.
func (x *inbox) lose() {
	x.mu.Lock()
	x.bytes, x.lost = x.bytes[:0], true
	x.waits.Store(true)
	x.mu.Unlock()
	x.ring()
}

func (x *inbox) ring() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// take exchanges what waits for an empty buffer.
func (x *inbox) take(spare []byte) (b []byte, lost bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	b, lost = x.bytes, x.lost
	x.waits.Store(false)
	x.bytes, x.lost = spare[:0], false
	return b, lost
}

// fill reads the socket until it is closed.
func (x *inbox) fill(e *events) {
	for {
		b, err := e.receive(true)
		switch {
		case err == nil:
			x.put(b)
		case errors.Is(err, os.ErrClosed):
			return
		case errors.Is(err, unix.EINTR):
		default:
			// ENOBUFS: the kernel delivers nothing more until its queue has been emptied. What is in it is older than
			// the loss.
			if !drain(e) {
				return
			}
			x.lose()
			if !errors.Is(err, unix.ENOBUFS) {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}

// note counts what comes. The caller holds mu.
func (x *inbox) note(b []byte) {
	eachMessage(b, func(typ, _ uint16, _ uint32, body []byte) bool {
		if typ == unix.RTM_NEWNEIGH || typ == unix.RTM_DELNEIGH {
			return true
		}
		x.waits.Store(true)
		if (typ == unix.RTM_NEWROUTE || typ == unix.RTM_DELROUTE) && len(body) > 0 && body[0] == unix.AF_INET6 {
			x.routes6.Add(1)
		}
		return true
	})
}

// drain empties the kernel's queue, at most what fits it when events come as fast as they are read. false: the socket
// is closed.
func drain(e *events) bool {
	for range 1 << 16 {
		if _, err := e.receive(false); errors.Is(err, os.ErrClosed) {
			return false
		} else if errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	return true
}
