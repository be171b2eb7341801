// SPDX-License-Identifier: Apache-2.0

package pctest

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// testRacyReads: many goroutines read, each datagram goes to one.
func testRacyReads(t *testing.T, h *Hosts) {
	a, b := h.pair(t)
	seen := newTally(t)
	var wg sync.WaitGroup
	for i := range 8 {
		r := receivers[i%len(receivers)]
		wg.Go(func() {
			buf := make([]byte, 64)
			for {
				n, from, err := r.receive(a, buf)
				if err != nil {
					isClosed(t, r.name, err)
					return
				}
				if unmap(from) != h.B.at(b) {
					t.Errorf("%s: from %v", r.name, from)
				}
				seen.note(buf[:n])
			}
		})
	}
	const total = 2000
	for i := range total {
		if !seen.room(i) {
			break
		}
		if _, err := b.WriteToUDPAddrPort(numbered(i), h.A.at(a)); err != nil {
			t.Error(err)
		}
	}
	seen.wait(total)
	a.Close()
	wg.Wait()
}

// testRacyWrites: many goroutines write in every form, each datagram arrives whole; and the slice is the caller's again when
// the call returns.
func testRacyWrites(t *testing.T, h *Hosts) {
	a, b := h.pair(t)
	limit(t, a, b)
	seen := newTally(t)
	var next atomic.Int64
	var wg sync.WaitGroup
	const total = 2000
	for i := range 8 {
		s := senders[i%len(senders)]
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= total || !seen.room(i) {
					return
				}
				payload := numbered(i)
				if n, err := s.send(a, payload, h.B.at(b)); n != len(payload) || err != nil {
					t.Errorf("%s: %d, %v", s.name, n, err)
				}
				for j := range payload {
					payload[j] = 0xDD
				}
			}
		})
	}
	wg.Go(func() {
		buf := make([]byte, 64)
		for range total {
			n, from, err := b.ReadFromUDPAddrPort(buf)
			if err != nil {
				t.Error(err)
				return
			}
			if unmap(from) != h.A.at(a) {
				t.Errorf("from %v", from)
			}
			seen.note(buf[:n])
		}
	})
	seen.wait(total)
	wg.Wait()
}

// testStorm: everything at once, and a close in the middle, again and again.
func testStorm(t *testing.T, h *Hosts) {
	b := h.B.listen(t)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		buf := make([]byte, 64)
		for {
			n, from, err := b.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			b.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	fine := func(what string, err error) {
		if err == nil || errors.Is(err, errDeadline) || errors.Is(err, net.ErrClosed) {
			return
		}
		t.Errorf("%s: %v", what, err)
	}
	for round := range 10 {
		a, err := h.A.Listen("udp", netip.AddrPortFrom(h.A.Addr, 0))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var closed atomic.Bool
		loop := func(f func(n int)) {
			wg.Go(func() {
				for n := 0; !closed.Load(); n++ {
					f(n)
					runtime.Gosched() // or on two processors the timer that closes waits half a second for its turn
				}
			})
		}
		for i := range receivers {
			buf := make([]byte, 64)
			loop(func(int) {
				_, _, err := receivers[i].receive(a, buf)
				fine(receivers[i].name, err)
			})
			loop(func(int) {
				_, err := senders[i].send(a, []byte("storm"), h.B.at(b))
				fine(senders[i].name, err)
			})
		}
		loop(func(n int) {
			fine("SetDeadline", a.SetDeadline([]time.Time{noDeadline, aLongTimeAgo, time.Now().Add(time.Millisecond)}[n%3]))
		})
		loop(func(n int) { fine("SetReadBuffer", a.SetReadBuffer(1<<16+n%3)) })
		loop(func(int) { _, _ = a.LocalAddr().String(), a.RemoteAddr() })
		time.AfterFunc(time.Duration(1+round%10)*time.Millisecond, func() {
			fine("Close", a.Close())
			closed.Store(true)
		})
		within(t, "the storm", wg.Wait)
	}
	b.Close()
	<-drained
}
