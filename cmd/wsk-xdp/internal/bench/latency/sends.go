// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/provider"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

const (
	// idleInterval is long enough for everything to have come to rest.
	idleInterval = time.Millisecond
	// loadSlots is how many datagrams a stream may have under way.
	loadSlots = 1024
	// sampled says that one in so many datagrams of a stream is timed. It shares no factor with the size of a burst.
	sampled = 61
	// streamLength is how long a stream goes on before it ends, so that its tail can be seen.
	streamLength = 5 * time.Millisecond
)

// withSocket gives run a socket on a datapath that only sends.
func withSocket(t *task, run func(*wsk.Socket) error) error {
	p, err := provider.Open(datapath.Options{Interfaces: []string{t.Interface}})
	if err != nil {
		return err
	}
	socket, err := p.Socket(netip.AddrPortFrom(t.Local.Addr(), 0), nil, nil)
	if err == nil {
		err = run(socket)
	}
	if e := p.Close(); err == nil {
		err = e
	}
	return err
}

// wskIdle sends one datagram after a rest.
func wskIdle(t *task, m *meter) error {
	return withSocket(t, func(socket *wsk.Socket) error {
		slots := newSlots(1, t.Payload, func(s *slot, now time.Time) { m.record(s.at, now) })
		to := wsk.NewSockaddr(t.Peer)
		for !m.over(time.Now()) && !t.stopped() {
			time.Sleep(max(t.Interval, idleInterval))
			s := slots.take()
			s.at = time.Now()
			socket.SendTo(&s.buf, 0, to, nil, &s.irp)
			slots.wait()
		}
		return slots.failure()
	})
}

// wskLoaded sends as fast as it can.
func wskLoaded(t *task, m *meter) error {
	return withSocket(t, func(socket *wsk.Socket) error {
		slots := newSlots(loadSlots, t.Payload, func(s *slot, now time.Time) {
			if s.timed {
				m.record(s.at, now)
			}
		})
		to := wsk.NewSockaddr(t.Peer)
		for !m.over(time.Now()) && !t.stopped() {
			stream(socket, slots, to, 64*sampled)
		}
		slots.wait()
		return slots.failure()
	})
}

// wskTail sends such streams, and waits for the end of each.
func wskTail(t *task, m *meter) error {
	return withSocket(t, func(socket *wsk.Socket) error {
		start := time.Now()
		var last atomic.Int64 // since start
		slots := newSlots(loadSlots, t.Payload, func(_ *slot, now time.Time) { last.Store(int64(now.Sub(start))) })
		to := wsk.NewSockaddr(t.Peer)
		for n := 0; !m.over(time.Now()) && !t.stopped(); n++ {
			begun := time.Now()
			for time.Since(begun) < streamLength {
				stream(socket, slots, to, 64)
			}
			stream(socket, slots, to, n%64) // whatever is left of a burst
			ended := time.Now()
			slots.wait()
			m.record(ended, later(ended, start.Add(time.Duration(last.Load()))))
		}
		return slots.failure()
	})
}

// later is the later of two times: all datagrams may have completed before the last call returned.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// stream sends n datagrams, and times some.
func stream(socket *wsk.Socket, slots *slots, to wsk.SOCKADDR, n int) {
	for i := range n {
		s := slots.take()
		for s == nil {
			runtime.Gosched()
			s = slots.take()
		}
		if s.timed = i%sampled == sampled-1; s.timed {
			s.at = time.Now()
		}
		socket.SendTo(&s.buf, 0, to, nil, &s.irp)
	}
}

// withConn is the same over a kernel socket, whose send has completed when the call returns.
func withConn(t *task, run func(send func() error) error) error {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(t.Local.Addr(), 0)))
	if err != nil {
		return err
	}
	defer conn.Close()
	b := make([]byte, t.Payload)
	return run(func() error {
		_, err := conn.WriteToUDPAddrPort(b, t.Peer)
		return err
	})
}

func udpIdle(t *task, m *meter) error { return udpSends(t, m, max(t.Interval, idleInterval), 1) }

func udpLoaded(t *task, m *meter) error { return udpSends(t, m, 0, sampled) }

func udpSends(t *task, m *meter, interval time.Duration, every int) error {
	return withConn(t, func(send func() error) error {
		for n := 1; !t.stopped(); n++ {
			if interval > 0 {
				time.Sleep(interval)
			}
			if n%every != 0 {
				if err := send(); err != nil {
					return err
				}
				continue
			}
			begin := time.Now()
			if err := send(); err != nil {
				return err
			}
			end := time.Now()
			m.record(begin, end)
			if m.over(end) {
				break
			}
		}
		return nil
	})
}
