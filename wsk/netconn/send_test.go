// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

var somewhere = netip.MustParseAddrPort("192.0.2.1:9")

// silent is a fake whose datagrams are recorded and go nowhere.
func silent(t testing.TB) (*wsktest.Transport, *wsk.ProviderNPI) {
	t.Helper()
	transport := wsktest.New()
	return transport, capture(t, transport)
}

// writing begins a write and returns when the transport has it.
func writing(t *testing.T, transport *wsktest.Transport, write func() (int, error)) <-chan result {
	t.Helper()
	before := transport.Counts().Pending
	done := make(chan result, 1)
	go func() {
		n, err := write()
		done <- result{n, err}
	}()
	eventually(t, "the transport to have the datagram", func() bool { return transport.Counts().Pending > before })
	return done
}

type result struct {
	n   int
	err error
}

func wait(t *testing.T, done <-chan result) result {
	t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(waitLimit):
		t.Fatal("a call does not return")
	}
	return result{}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(waitLimit); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(time.Millisecond) // the fake does not tell when an operation is pending
	}
}

// stays checks that a call is still under way.
func stays(t *testing.T, what string, done <-chan result) {
	t.Helper()
	select {
	case r := <-done:
		t.Fatalf("%s returned %d, %v", what, r.n, r.err)
	case <-time.After(20 * time.Millisecond):
	}
}

// A write deadline takes back a datagram that waits in the provider.
func TestWriteDeadlineCancels(t *testing.T) {
	transport, npi := silent(t)
	c := listen(t, npi, "0.0.0.0:0", netconn.Options{Strict: true})
	transport.SetMode(wsktest.Wait)
	for name, set := range map[string]func() error{
		"past":   func() error { return c.SetWriteDeadline(time.Unix(1, 0)) },
		"now":    func() error { return c.SetDeadline(time.Now()) },
		"future": func() error { return c.SetWriteDeadline(time.Now().Add(5 * time.Millisecond)) },
	} {
		c.SetDeadline(time.Time{})
		before := transport.Counts().Cancelled
		done := writing(t, transport, func() (int, error) { return c.WriteToUDPAddrPort([]byte("x"), somewhere) })
		stays(t, "a write that waits", done)
		if err := set(); err != nil {
			t.Fatal(err)
		}
		r := wait(t, done)
		var op *net.OpError
		if r.n != 0 || !errors.Is(r.err, os.ErrDeadlineExceeded) || !errors.As(r.err, &op) || !op.Timeout() || op.Op != "write" {
			t.Errorf("%s: %d, %v", name, r.n, r.err)
		}
		if n := transport.Counts().Cancelled - before; n != 1 {
			t.Errorf("%s: %d operations were cancelled", name, n)
		}
	}
	if list := transport.Datagrams(); len(list) != 0 {
		t.Errorf("%d datagrams have left", len(list))
	}
	// The connection goes on.
	transport.SetMode(wsktest.Deliver)
	c.SetDeadline(time.Time{})
	if n, err := c.WriteToUDPAddrPort([]byte("later"), somewhere); n != 5 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// A datagram that is with the kernel is not taken back: the provider may read the caller's slice until the IRP
// completes, so the write waits, whatever the deadline, and reports what has come of it.
func TestWriteWaitsForTheKernel(t *testing.T) {
	transport, npi := silent(t)
	c := listen(t, npi, "0.0.0.0:0", netconn.Options{Strict: true})
	transport.SetMode(wsktest.Post)
	for _, tc := range []struct {
		status wsk.NTSTATUS
		n      int
		want   error
	}{
		{wsk.STATUS_SUCCESS, 1, nil},
		{wsk.STATUS_HOST_UNREACHABLE, 0, wsk.STATUS_HOST_UNREACHABLE.Err()},
	} {
		done := writing(t, transport, func() (int, error) { return c.WriteToUDPAddrPort([]byte("x"), somewhere) })
		c.SetWriteDeadline(time.Now().Add(time.Millisecond)) // now that the datagram is with the kernel
		stays(t, "a write past its deadline", done)
		transport.Complete(0, tc.status)
		if r := wait(t, done); r.n != tc.n || !errors.Is(r.err, tc.want) {
			t.Errorf("%v: %d, %v", tc.status, r.n, r.err)
		}
		if _, err := c.WriteToUDPAddrPort([]byte("x"), somewhere); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after the deadline: %v", err)
		}
		c.SetWriteDeadline(time.Time{})
	}
}

// Close takes back a datagram that waits, and waits for one that is with the kernel.
func TestCloseWhileWriting(t *testing.T) {
	transport, npi := silent(t)
	c := listen(t, npi, "0.0.0.0:0", netconn.Options{Strict: true})
	transport.SetMode(wsktest.Post)
	posted := writing(t, transport, func() (int, error) { return c.WriteToUDPAddrPort([]byte("posted"), somewhere) })
	transport.SetMode(wsktest.Wait)
	waiting := writing(t, transport, func() (int, error) { return c.WriteToUDPAddrPort([]byte("waiting"), somewhere) })
	closed := make(chan result, 1)
	go func() { closed <- result{err: c.Close()} }()
	if r := wait(t, waiting); !errors.Is(r.err, net.ErrClosed) {
		t.Errorf("the write that waited: %v", r.err)
	}
	stays(t, "Close", closed)
	stays(t, "the write that was posted", posted)
	if _, err := c.WriteToUDPAddrPort(nil, somewhere); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write meanwhile: %v", err)
	}
	transport.Complete(0, wsk.STATUS_SUCCESS)
	if r := wait(t, posted); r.n != 6 || r.err != nil {
		t.Errorf("the write that was posted: %d, %v", r.n, r.err)
	}
	if r := wait(t, closed); r.err != nil {
		t.Errorf("Close: %v", r.err)
	}
}

// The statuses of sends are errors that programs over package net test for.
func TestErrors(t *testing.T) {
	transport, npi := silent(t)
	c := listen(t, npi, "0.0.0.0:0", netconn.Options{Strict: true})
	transport.SetMode(wsktest.Post)
	for status, want := range map[wsk.NTSTATUS][]error{
		wsk.STATUS_NETWORK_UNREACHABLE:    {syscall.ENETUNREACH},
		wsk.STATUS_HOST_UNREACHABLE:       {syscall.EHOSTUNREACH},
		wsk.STATUS_INVALID_BUFFER_SIZE:    {syscall.EMSGSIZE},
		wsk.STATUS_PORT_UNREACHABLE:       {syscall.ECONNREFUSED},
		wsk.STATUS_CONNECTION_REFUSED:     {syscall.ECONNREFUSED},
		wsk.STATUS_ACCESS_DENIED:          {syscall.EACCES, os.ErrPermission},
		wsk.STATUS_PRIVILEGE_NOT_HELD:     {syscall.EPERM, os.ErrPermission},
		wsk.STATUS_INSUFFICIENT_RESOURCES: {syscall.ENOBUFS},
		wsk.STATUS_FILE_FORCED_CLOSED:     {net.ErrClosed},
		wsk.STATUS_NOT_SUPPORTED:          {errors.ErrUnsupported},
		wsk.STATUS_CANCELLED:              {}, // not by this package: it stays what it is
		wsk.NTSTATUS(0xC0DE0001):          {},
	} {
		done := writing(t, transport, func() (int, error) { return c.WriteToUDPAddrPort([]byte("x"), somewhere) })
		transport.Complete(0, status)
		r := wait(t, done)
		var se *netconn.StatusError
		if r.n != 0 || !errors.As(r.err, &se) || se.Status != status || !errors.Is(r.err, status.Err()) {
			t.Errorf("%v: %d, %v", status, r.n, r.err)
			continue
		}
		for _, w := range want {
			if !errors.Is(r.err, w) {
				t.Errorf("%v is not %v", r.err, w)
			}
		}
		if errors.Is(r.err, syscall.EADDRINUSE) || errors.Is(r.err, os.ErrDeadlineExceeded) {
			t.Errorf("%v is everything", r.err)
		}
	}
}

// Broadcasts are allowed, as package net allows them.
func TestBroadcast(t *testing.T) {
	_, npi := silent(t)
	for _, network := range []string{"udp", "udp4"} {
		c, err := netconn.Listen(npi, network, netip.AddrPort{}, netconn.Options{Strict: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.WriteToUDPAddrPort([]byte("all"), netip.MustParseAddrPort("255.255.255.255:9")); err != nil {
			t.Errorf("%s: %v", network, err)
		}
		c.Close()
	}
}

// When the device goes, reads and writes end, and the connection can be closed.
func TestDeviceGone(t *testing.T) {
	transport, npi := fake(t)
	c := listen(t, npi, "127.0.0.1:0", netconn.Options{Strict: true})
	done := make(chan result, 1)
	go func() {
		n, err := c.Read(make([]byte, 10))
		done <- result{n, err}
	}()
	stays(t, "a read", done)
	transport.Kill()
	if r := wait(t, done); !errors.Is(r.err, net.ErrClosed) || !errors.Is(r.err, wsk.STATUS_FILE_FORCED_CLOSED.Err()) {
		t.Errorf("the read: %v", r.err)
	}
	if _, err := c.WriteTo([]byte("x"), c.LocalAddr()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
