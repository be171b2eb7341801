// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/provider"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// exchangeSlots is how many datagrams an end may have under way: a completion may be read after the reply has come.
const exchangeSlots = 256

// openProvider opens the datapath of an end that receives.
func openProvider(t *task) (*provider.Provider, error) {
	o := datapath.Options{Receive: []string{t.Interface}}
	if t.Busy {
		o.BusyPoll = t.BusyPoll
	}
	return provider.Open(o)
}

// wskEcho sends back from within the callback.
type wskEcho struct {
	p       *provider.Provider
	socket  atomic.Pointer[wsk.Socket]
	slots   *slots
	dropped atomic.Uint64
}

func openWskEcho(t *task) (echoer, error) {
	e := &wskEcho{slots: newSlots(exchangeSlots, t.Payload, nil)}
	var err error
	if e.p, err = openProvider(t); err != nil {
		return nil, err
	}
	socket, err := e.p.Socket(t.Local, e.event, nil)
	if err != nil {
		return nil, errors.Join(err, e.p.Close())
	}
	e.socket.Store(socket)
	return e, nil
}

func (e *wskEcho) event(_ any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
	socket := e.socket.Load()
	for d := list; d != nil; d = d.Next {
		s := e.slots.take()
		if s == nil || socket == nil {
			e.dropped.Add(1)
			continue
		}
		s.buf.Length = uintptr(copyFrom(s.data, &d.Buffer))
		socket.SendTo(&s.buf, 0, d.RemoteAddress, nil, &s.irp)
	}
	return wsk.STATUS_SUCCESS
}

// copyFrom copies what a buffer describes, as much as fits.
func copyFrom(b []byte, from *wsk.Buf) (n int) {
	for c := from.Cursor(0); n < len(b); {
		piece := c.Next(len(b) - n)
		if len(piece) == 0 {
			break
		}
		n += copy(b[n:], piece)
	}
	return n
}

func (e *wskEcho) close() error { return e.p.Close() }

// wskPing sends the next datagram from within the callback that brought the reply, unless there is a pause between
// them.
type wskPing struct {
	p      *provider.Provider
	socket *wsk.Socket
	remote wsk.SOCKADDR
	slots  *slots
	t      *task

	mu     sync.Mutex
	m      *meter // nil while nothing is measured
	number uint64
	at     time.Time // of the send that has no reply yet
	wake   chan struct{}
}

func openWskPing(t *task) (pinger, error) {
	g := &wskPing{t: t, slots: newSlots(exchangeSlots, t.Payload, nil), remote: wsk.NewSockaddr(t.Peer), wake: make(chan struct{}, 1)}
	var err error
	if g.p, err = openProvider(t); err != nil {
		return nil, err
	}
	if g.socket, err = g.p.Socket(t.Local, g.event, nil); err != nil {
		return nil, errors.Join(err, g.p.Close())
	}
	return g, nil
}

// event is the callback.
func (g *wskPing) event(_ any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
	now := time.Now()
	var head [stampLen]byte
	for d := list; d != nil; d = d.Next {
		n := copyFrom(head[:], &d.Buffer)
		g.mu.Lock()
		mine := g.m != nil && sequence(head[:n]) == g.number
		if mine {
			g.m.record(g.at, now)
			g.number++
		}
		again := mine && g.t.Interval == 0 && !g.m.over(now)
		g.mu.Unlock()
		if !mine {
			continue // a late reply to what was given up
		}
		if again {
			g.send()
			continue
		}
		select {
		case g.wake <- struct{}{}:
		default:
		}
	}
	return wsk.STATUS_SUCCESS
}

// send sends the datagram whose turn it is.
func (g *wskPing) send() {
	s := g.slots.take()
	if s == nil {
		return // no reply came to any of them, which run notices
	}
	g.mu.Lock()
	stamp(s.data, g.number)
	g.at = time.Now()
	g.mu.Unlock()
	g.socket.SendTo(&s.buf, 0, g.remote, nil, &s.irp)
}

// giveUp is how long to wait for a reply.
const giveUp = 200 * time.Millisecond

func (g *wskPing) run(t *task, m *meter) error {
	g.mu.Lock()
	g.m, g.number = m, 1
	g.mu.Unlock()
	g.send()
	look := time.NewTicker(giveUp)
	defer look.Stop()
	last := uint64(0)
	for {
		select {
		case <-g.wake:
			if m.over(time.Now()) || t.stopped() {
				return g.slots.failure()
			}
			time.Sleep(t.Interval)
			g.send()
		case <-look.C:
			if t.stopped() {
				return g.slots.failure()
			}
			g.mu.Lock()
			stuck := g.number == last && time.Since(g.at) > giveUp
			if stuck {
				g.number++
			}
			last = g.number
			g.mu.Unlock()
			if !stuck {
				continue
			}
			m.lose()
			if m.over(time.Now()) {
				return g.slots.failure()
			}
			g.send()
		}
	}
}

func (g *wskPing) close() error { return g.p.Close() }
