// SPDX-License-Identifier: Apache-2.0

package pctest

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// testConnected: a connection that was dialled talks to its remote only.
func testConnected(t *testing.T, h *Hosts) {
	b, stranger := h.B.listen(t), h.B.listen(t)
	a := h.A.dial(t, h.B.at(b))
	limit(t, a, b, stranger)
	if n, err := a.Write([]byte("hello")); n != 5 || err != nil {
		t.Fatalf("Write: %d, %v", n, err)
	}
	buf := make([]byte, 100)
	n, from, err := b.ReadFromUDPAddrPort(buf)
	if err != nil || string(buf[:n]) != "hello" || unmap(from) != addrOf(a) {
		t.Fatalf("%q from %v, %v, want it from %v", buf[:n], from, err, addrOf(a))
	}
	if n, oobn, err := a.WriteMsgUDPAddrPort([]byte("message"), nil, netip.AddrPort{}); n != 7 || oobn != 0 || err != nil {
		t.Errorf("WriteMsgUDPAddrPort without an address: %d, %d, %v", n, oobn, err)
	}
	if n, oobn, err := a.WriteMsgUDP(nil, nil, nil); n != 0 || oobn != 0 || err != nil {
		t.Errorf("WriteMsgUDP without an address: %d, %d, %v", n, oobn, err)
	}
	for _, want := range []string{"message", ""} {
		if n, _, err := b.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != want {
			t.Fatalf("%q, %v, want %q", buf[:n], err, want)
		}
	}
	for _, r := range receivers {
		for _, c := range []Conn{stranger, b} {
			if _, err := c.WriteToUDPAddrPort([]byte(r.name), from); err != nil {
				t.Fatal(err)
			}
		}
		if n, source, err := r.receive(a, buf); err != nil || string(buf[:n]) != r.name || unmap(source) != h.B.at(b) {
			t.Fatalf("%s: %q from %v, %v", r.name, buf[:n], source, err)
		}
	}
	for _, c := range []Conn{stranger, b} {
		c.WriteToUDPAddrPort([]byte("read"), from)
	}
	if n, err := a.Read(buf); err != nil || string(buf[:n]) != "read" {
		t.Fatalf("Read: %q, %v", buf[:n], err)
	}
	// The strangers' are gone; nothing is left.
	a.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	_, err = a.Read(buf)
	isTimeout(t, "Read", err)

	for _, s := range senders {
		_, err := s.send(a, []byte("x"), h.B.at(b))
		if !errors.Is(err, net.ErrWriteToConnected) {
			t.Errorf("%s on a dialled connection: %v", s.name, err)
		}
		isOpError(t, s.name, err)
	}
	a.SetWriteDeadline(aLongTimeAgo)
	_, err = a.Write([]byte("x"))
	isTimeout(t, "Write", err)
}

// testRefused: an ICMP error ends a read of a dialled connection, and the connection goes on.
func testRefused(t *testing.T, h *Hosts) {
	if !h.Refuses {
		t.Log("the hosts have no ICMP")
		return
	}
	b := h.B.listen(t)
	at := h.B.at(b)
	b.Close()
	a := h.A.dial(t, at)
	limit(t, a)
	buf := make([]byte, 100)
	for range 3 {
		// The error may be told to a write that comes after it.
		if _, err := a.Write([]byte("anybody there?")); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("Write: %v", err)
		} else if err != nil {
			continue
		}
		n, err := a.Read(buf)
		if n != 0 || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("Read: %d, %v, want ECONNREFUSED", n, err)
		}
		if op := isOpError(t, "Read", err); op.Op != "read" || op.Addr == nil || op.Source == nil || op.Timeout() {
			t.Errorf("Read: %#v", op)
		}
	}
	again := h.B.open(t, "udp", at)
	limit(t, again)
	if _, err := a.Write([]byte("now")); err != nil {
		t.Fatal(err)
	}
	n, from, err := again.ReadFromUDPAddrPort(buf)
	if err != nil || string(buf[:n]) != "now" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	again.WriteToUDPAddrPort([]byte("yes"), from)
	if n, err := a.Read(buf); err != nil || string(buf[:n]) != "yes" {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

// testErrors: what can't be done fails, with an error that programs recognise.
func testErrors(t *testing.T, h *Hosts) {
	a, b := h.pair(t)
	limit(t, a, b)
	to := h.B.at(b)
	other := netip.MustParseAddrPort("[2001:db8::1]:9")
	if !h.is4() {
		other = netip.MustParseAddrPort("192.0.2.1:9")
	}
	fail := func(what string, err error, want error, addr bool) {
		t.Helper()
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
			return
		}
		op := isOpError(t, what, err)
		if op.Op != "write" || op.Source == nil || (op.Addr != nil) != addr {
			t.Errorf("%s: %#v", what, op)
		}
	}
	for _, s := range senders {
		_, err := s.send(a, make([]byte, 65528), to)
		fail(s.name+" too long", err, syscall.EMSGSIZE, true)
		_, err = s.send(a, []byte("x"), other)
		fail(s.name+" to another version of IP", err, nil, true)
	}
	_, err := a.Write([]byte("x"))
	fail("Write without a remote", err, syscall.EDESTADDRREQ, false)
	_, err = a.WriteTo([]byte("x"), &net.TCPAddr{IP: h.B.Addr.AsSlice(), Port: 9})
	fail("WriteTo a TCP address", err, syscall.EINVAL, true)
	_, err = a.WriteToUDP([]byte("x"), nil)
	fail("WriteToUDP nowhere", err, nil, false)
	_, _, err = a.WriteMsgUDP([]byte("x"), nil, nil)
	fail("WriteMsgUDP nowhere", err, nil, false)
	for _, network := range []string{"", "tcp", "udp5", "unixgram"} {
		if _, err := h.A.Listen(network, netip.AddrPort{}); err == nil {
			t.Errorf("listen on network %q", network)
		}
	}
	wrong := map[bool]string{true: "udp6", false: "udp4"}[h.is4()]
	if _, err := h.A.Listen(wrong, netip.AddrPortFrom(h.A.Addr, 0)); err == nil {
		t.Errorf("listen on %v with %s", h.A.Addr, wrong)
	} else {
		isOpError(t, "listen", err)
	}
	if _, err := h.A.Dial("udp", netip.AddrPortFrom(other.Addr(), 0), to); err == nil {
		t.Error("dial across versions of IP")
	} else {
		isOpError(t, "dial", err)
	}
	_, err = h.A.Listen("udp", netip.AddrPortFrom(addrOf(a).Addr(), addrOf(a).Port()))
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen twice: %v", err)
	}
	// None of it has harmed the connection.
	if _, err := a.WriteToUDPAddrPort([]byte("fine"), to); err != nil {
		t.Error(err)
	}
	buf := make([]byte, 10)
	if n, _, err := b.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != "fine" {
		t.Errorf("%q, %v", buf[:n], err)
	}
}
