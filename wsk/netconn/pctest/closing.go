// SPDX-License-Identifier: Apache-2.0

package pctest

import (
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
)

// testCloseBlocked: Close ends reads that are blocked.
func testCloseBlocked(t *testing.T, h *Hosts) {
	for _, deadline := range []time.Time{noDeadline, time.Now().Add(time.Hour)} {
		a := h.A.listen(t)
		if err := a.SetDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		errs := make(chan error, 2*len(receivers))
		for _, r := range receivers {
			for range 2 {
				go func() {
					_, _, err := r.receive(a, make([]byte, 10))
					errs <- err
				}()
			}
		}
		pause(t, errs, 10*time.Millisecond)
		within(t, "Close", func() {
			if err := a.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		for range cap(errs) {
			select {
			case err := <-errs:
				isClosed(t, "blocked read", err)
			case <-time.After(waitLimit):
				t.Fatal("a blocked read does not see the close")
			}
		}
	}
}

// testClosed: nothing works after Close, and the addresses stay known.
func testClosed(t *testing.T, h *Hosts) {
	a, b := h.pair(t)
	c := h.A.dial(t, h.B.at(b))
	local := addrOf(a)
	// A closed connection is closed, not late.
	if err := a.SetDeadline(aLongTimeAgo); err != nil {
		t.Fatal(err)
	}
	for _, conn := range []Conn{a, c} {
		if err := conn.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		isClosed(t, "second Close", conn.Close())
		reads(t, "closed", conn, isClosed)
		_, err := conn.Read(nil)
		isClosed(t, "Read into nothing", err)
		for name, set := range map[string]func(time.Time) error{
			"SetDeadline": conn.SetDeadline, "SetReadDeadline": conn.SetReadDeadline, "SetWriteDeadline": conn.SetWriteDeadline,
		} {
			isClosed(t, name, set(noDeadline))
			isClosed(t, name, set(time.Now().Add(time.Hour)))
			isClosed(t, name, set(aLongTimeAgo))
		}
		isClosed(t, "SetReadBuffer", conn.SetReadBuffer(1<<16))
		isClosed(t, "SetWriteBuffer", conn.SetWriteBuffer(1<<16))
		_, err = conn.Write([]byte("x"))
		isClosed(t, "Write", err)
	}
	writes(t, "closed", h, a, isClosed)
	if addrOf(a) != local || c.RemoteAddr() == nil {
		t.Error("a closed connection forgets its addresses")
	}
}

// testReopen: the port is free when Close returns, and datagrams for the closed socket are not found in the next.
func testReopen(t *testing.T, h *Hosts) {
	b := h.B.listen(t)
	limit(t, b)
	first := h.A.listen(t)
	at := netip.AddrPortFrom(h.A.Addr, addrOf(first).Port())
	for range 10 {
		if _, err := b.WriteToUDPAddrPort([]byte("for the one before"), at); err != nil {
			t.Fatal(err)
		}
	}
	// They have arrived when an answer has come back.
	first.SetReadDeadline(time.Now().Add(waitLimit))
	if _, _, err := first.ReadFrom(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := h.A.Listen("udp", at)
	if err != nil {
		t.Fatalf("listen on %v again: %v", at, err)
	}
	defer second.Close()
	if _, err := h.A.Listen("udp", at); err == nil {
		t.Errorf("listened on %v twice", at)
	} else {
		isOpError(t, "listen", err)
	}
	if _, err := b.WriteToUDPAddrPort([]byte("for this one"), at); err != nil {
		t.Fatal(err)
	}
	limit(t, second)
	buf := make([]byte, 100)
	for {
		n, _, err := second.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		if string(buf[:n]) == "for this one" {
			return
		}
		// A datagram that was on its way between the two is for whoever has the port.
	}
}

// testLeak: what is closed leaves no goroutine behind, whatever it was doing.
func testLeak(t *testing.T, h *Hosts) {
	warm := h.A.listen(t) // what is made once stays
	warm.Close()
	before := runtime.NumGoroutine()
	var conns []Conn
	for range 20 {
		c, err := h.A.Listen("udp", netip.AddrPortFrom(h.A.Addr, 0))
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		c.SetDeadline(time.Now().Add(time.Hour))
		for range 3 {
			go c.ReadFrom(make([]byte, 10))
		}
		go c.WriteTo(nil, net.UDPAddrFromAddrPort(h.A.at(c)))
	}
	for _, c := range conns {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	for end := time.Now().Add(waitLimit); ; {
		n := runtime.NumGoroutine()
		if n <= before {
			return
		}
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			t.Fatalf("%d goroutines, %d before:\n%s", n, before, strings.TrimSpace(string(stacks)))
		}
		runtime.Gosched()
	}
}
