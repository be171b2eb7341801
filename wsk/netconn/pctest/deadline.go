// SPDX-License-Identifier: Apache-2.0

package pctest

import (
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

var errDeadline = os.ErrDeadlineExceeded

var (
	aLongTimeAgo = time.Unix(233431200, 0)
	noDeadline   = time.Time{}
)

// reads are all the ways to read, which a deadline ends.
func reads(t *testing.T, what string, c Conn, check func(t *testing.T, what string, err error)) {
	t.Helper()
	buf := make([]byte, 10)
	for _, r := range receivers {
		_, _, err := r.receive(c, buf)
		check(t, what+": "+r.name, err)
	}
	_, err := c.Read(buf)
	check(t, what+": Read", err)
}

// writes are all the ways to write to an address.
func writes(t *testing.T, what string, h *Hosts, c Conn, check func(t *testing.T, what string, err error)) {
	t.Helper()
	to := h.B.at(c) // it does not matter who gets it
	for _, s := range senders {
		_, err := s.send(c, []byte("x"), to)
		check(t, what+": "+s.name, err)
	}
}

// testPastDeadline: nothing is read or written after a deadline, even where it could be at once, and nothing is lost by it.
func testPastDeadline(t *testing.T, h *Hosts) {
	a, b := h.pair(t)
	limit(t, b)
	buf := make([]byte, 10)
	if _, err := b.WriteToUDPAddrPort([]byte("kept"), h.A.at(a)); err != nil {
		t.Fatal(err)
	}
	set := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, past := range []time.Time{aLongTimeAgo, time.Now().Add(-time.Nanosecond), time.Now().Round(0).Add(-time.Hour)} {
		set(a.SetDeadline(past))
		within(t, "a read or write after its deadline", func() {
			reads(t, "SetDeadline", a, isTimeout)
			writes(t, "SetDeadline", h, a, isTimeout)
		})
		set(a.SetWriteDeadline(noDeadline))
		writes(t, "only reads have a deadline", h, a, func(t *testing.T, what string, err error) {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
		reads(t, "SetWriteDeadline", a, isTimeout)
		set(a.SetReadDeadline(noDeadline))
	}
	set(a.SetWriteDeadline(aLongTimeAgo))
	writes(t, "SetWriteDeadline", h, a, isTimeout)
	set(a.SetReadDeadline(time.Now().Add(waitLimit)))
	if n, err := a.Read(buf); err != nil || string(buf[:n]) != "kept" {
		t.Errorf("after the deadline: %q, %v", buf[:n], err)
	}
}

// testPresentDeadline: a deadline of now wakes a read that is blocked, and so does one in the past.
func testPresentDeadline(t *testing.T, h *Hosts) {
	a := h.A.listen(t)
	for i, set := range []func() error{
		func() error { return a.SetReadDeadline(time.Now()) },
		func() error { return a.SetDeadline(aLongTimeAgo) },
		func() error { return a.SetReadDeadline(time.Now().Add(time.Millisecond)) },
	} {
		if err := a.SetDeadline(noDeadline); err != nil {
			t.Fatal(err)
		}
		const readers = 4
		errs := make(chan error, readers)
		for range readers {
			go func() {
				_, _, err := a.ReadFrom(make([]byte, 10))
				errs <- err
			}()
		}
		pause(t, errs, 10*time.Millisecond) // they block, or will find the deadline
		if err := set(); err != nil {
			t.Fatal(err)
		}
		for range readers {
			select {
			case err := <-errs:
				isTimeout(t, "blocked read", err)
			case <-time.After(waitLimit):
				t.Fatalf("case %d: a blocked read does not see its deadline", i)
			}
		}
	}
}

// pause lets time pass in which nothing may come.
func pause(t *testing.T, errs <-chan error, d time.Duration) {
	t.Helper()
	select {
	case err := <-errs:
		t.Fatalf("a read that should block returned: %v", err)
	case <-time.After(d):
	}
}

// testFutureDeadline: a read ends at its deadline and not before.
func testFutureDeadline(t *testing.T, h *Hosts) {
	a, b := h.pair(t)
	buf := make([]byte, 10)
	for _, wait := range []time.Duration{time.Nanosecond, time.Millisecond, 60 * time.Millisecond} {
		start := time.Now()
		if err := a.SetReadDeadline(start.Add(wait)); err != nil {
			t.Fatal(err)
		}
		_, _, err := a.ReadFrom(buf)
		if took := time.Since(start); took < wait || took > waitLimit {
			t.Errorf("a read with %v to go ended after %v", wait, took)
		}
		isTimeout(t, "read", err)
		reads(t, "later", a, isTimeout) // it stays over
	}
	limit(t, a, b)
	if _, err := b.WriteToUDPAddrPort([]byte("after"), h.A.at(a)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := a.ReadFrom(buf); err != nil || string(buf[:n]) != "after" {
		t.Errorf("after deadlines: %q, %v", buf[:n], err)
	}
}

// testDeadlineReset: a deadline that is replaced in time has no effect.
func testDeadlineReset(t *testing.T, h *Hosts) {
	a, b := h.pair(t)
	for _, later := range []time.Time{noDeadline, time.Now().Add(time.Hour)} {
		if err := a.SetReadDeadline(time.Now().Add(40 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		errs := make(chan error, 1)
		buf := make([]byte, 10)
		go func() {
			n, _, err := a.ReadFrom(buf)
			if err == nil && string(buf[:n]) != "still here" {
				t.Errorf("read %q", buf[:n])
			}
			errs <- err
		}()
		if err := a.SetReadDeadline(later); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-errs:
			// On a machine that was busy for so long the first deadline has come before the second was set.
			isTimeout(t, "read", err)
			t.Log("the first deadline was faster")
			continue
		case <-time.After(120 * time.Millisecond):
		}
		if _, err := b.WriteToUDPAddrPort([]byte("still here"), h.A.at(a)); err != nil {
			t.Fatal(err)
		}
		if err := <-errs; err != nil {
			t.Errorf("a read whose deadline was moved: %v", err)
		}
	}
}

// testDeadlineStorm: deadlines change all the time under reads and writes, and every datagram is read once or not at all.
func testDeadlineStorm(t *testing.T, h *Hosts) {
	a, b := h.pair(t)
	stop := make(chan struct{})
	var setters, wg sync.WaitGroup
	for i := range 3 {
		setters.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				switch (n + i) % 4 {
				case 0:
					a.SetDeadline(aLongTimeAgo)
				case 1:
					a.SetReadDeadline(time.Now().Add(50 * time.Microsecond))
				case 2:
					a.SetDeadline(time.Now().Add(time.Hour))
				case 3:
					a.SetWriteDeadline(noDeadline)
				}
				runtime.Gosched() // the datagrams need the processor too
			}
		})
	}
	seen := newTally(t)
	for range 3 {
		wg.Go(func() {
			buf := make([]byte, 64)
			for {
				select {
				case <-stop:
					return
				default:
				}
				n, _, err := a.ReadFromUDPAddrPort(buf)
				if err != nil {
					isTimeout(t, "read", err)
					continue
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
		if _, err := a.WriteToUDPAddrPort(nil, h.A.at(a)); err != nil {
			isTimeout(t, "write", err)
		}
	}
	seen.wait(total)
	close(stop)
	setters.Wait()
	a.SetDeadline(aLongTimeAgo) // the readers may be blocked
	wg.Wait()
}
