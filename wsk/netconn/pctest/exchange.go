// SPDX-License-Identifier: Apache-2.0

package pctest

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"testing"
)

// sender is one of the forms of writing to an address.
type sender struct {
	name string
	send func(c Conn, b []byte, to netip.AddrPort) (int, error)
}

var senders = []sender{
	{"WriteTo", func(c Conn, b []byte, to netip.AddrPort) (int, error) {
		return c.WriteTo(b, net.UDPAddrFromAddrPort(to))
	}},
	{"WriteToUDP", func(c Conn, b []byte, to netip.AddrPort) (int, error) {
		return c.WriteToUDP(b, net.UDPAddrFromAddrPort(to))
	}},
	{"WriteToUDPAddrPort", Conn.WriteToUDPAddrPort},
	{"WriteMsgUDP", func(c Conn, b []byte, to netip.AddrPort) (int, error) {
		n, _, err := c.WriteMsgUDP(b, nil, net.UDPAddrFromAddrPort(to))
		return n, err
	}},
	{"WriteMsgUDPAddrPort", func(c Conn, b []byte, to netip.AddrPort) (int, error) {
		n, _, err := c.WriteMsgUDPAddrPort(b, nil, to)
		return n, err
	}},
}

// receiver is one of the forms of reading with the sender's address.
type receiver struct {
	name    string
	receive func(c Conn, b []byte) (int, netip.AddrPort, error)
}

var receivers = []receiver{
	{"ReadFrom", func(c Conn, b []byte) (int, netip.AddrPort, error) {
		n, addr, err := c.ReadFrom(b)
		if err != nil {
			return n, netip.AddrPort{}, err
		}
		return n, addr.(*net.UDPAddr).AddrPort(), nil
	}},
	{"ReadFromUDP", func(c Conn, b []byte) (int, netip.AddrPort, error) {
		n, addr, err := c.ReadFromUDP(b)
		return n, addr.AddrPort(), err
	}},
	{"ReadFromUDPAddrPort", Conn.ReadFromUDPAddrPort},
	{"ReadMsgUDP", func(c Conn, b []byte) (int, netip.AddrPort, error) {
		n, _, _, addr, err := c.ReadMsgUDP(b, nil)
		return n, addr.AddrPort(), err
	}},
	{"ReadMsgUDPAddrPort", func(c Conn, b []byte) (int, netip.AddrPort, error) {
		n, _, _, addr, err := c.ReadMsgUDPAddrPort(b, nil)
		return n, addr, err
	}},
}

func testAddresses(t *testing.T, h *Hosts) {
	a := h.A.listen(t)
	if got := addrOf(a); got.Addr().WithZone("") != h.A.Addr.WithZone("") || got.Port() == 0 {
		t.Errorf("local address %v, want a port on %v", got, h.A.Addr)
	}
	if remote := a.RemoteAddr(); remote != nil {
		t.Errorf("remote address %#v, want the nil interface", remote)
	}
	if network := a.LocalAddr().Network(); network != "udp" {
		t.Errorf("network %q", network)
	}
	wild := h.A.open(t, h.network(), netip.AddrPort{})
	if got := addrOf(wild); !got.Addr().IsUnspecified() || got.Port() == 0 {
		t.Errorf("local address %v of the wildcard", got)
	}
	remote := netip.AddrPortFrom(h.B.Addr, 9)
	c := h.A.dial(t, remote)
	if got := unmap(c.RemoteAddr().(*net.UDPAddr).AddrPort()); got.Addr().WithZone("") != h.B.Addr.WithZone("") || got.Port() != 9 {
		t.Errorf("remote address %v, want %v", got, remote)
	}
	if got := addrOf(c); got.Addr().WithZone("") != h.A.Addr.WithZone("") || got.Port() == 0 {
		t.Errorf("local address %v of a connection to %v, want one on %v", got, remote, h.A.Addr)
	}
}

// testExchange sends and receives in every form, in both directions.
func testExchange(t *testing.T, h *Hosts) {
	a, b := h.pair(t)
	limit(t, a, b)
	buf := make([]byte, 100)
	for i, s := range senders {
		for j, r := range receivers {
			for _, way := range []struct {
				name         string
				from, to     Conn
				source, dest netip.AddrPort
			}{
				{"A to B", a, b, h.A.at(a), h.B.at(b)},
				{"B to A", b, a, h.B.at(b), h.A.at(a)},
			} {
				payload := fmt.Appendf(nil, "%s %d %d", way.name, i, j)
				n, err := s.send(way.from, payload, way.dest)
				if n != len(payload) || err != nil {
					t.Fatalf("%s %s: %d, %v", way.name, s.name, n, err)
				}
				n, from, err := r.receive(way.to, buf)
				if err != nil || !bytes.Equal(buf[:n], payload) || unmap(from) != way.source {
					t.Fatalf("%s %s: %q from %v, %v, want %q from %v", way.name, r.name, buf[:n], from, err, payload, way.source)
				}
			}
		}
	}
}

// testSizes sends datagrams around the limits of frames and of UDP.
func testSizes(t *testing.T, h *Hosts) {
	a, b := h.pair(t)
	limit(t, a, b)
	buf := make([]byte, 1<<16)
	for _, n := range []int{0, 1, 2, 17, 18, 1232, 1452, 1453, 1472, 1473, 2960, 4096, 9000, 40000, h.MaxPayload} {
		if n > h.MaxPayload {
			continue
		}
		payload := Pattern(n)
		if m, err := a.WriteToUDPAddrPort(payload, h.B.at(b)); m != n || err != nil {
			t.Fatalf("%d bytes to B: %d, %v", n, m, err)
		}
		if m, from, err := b.ReadFromUDPAddrPort(buf); err != nil || !bytes.Equal(buf[:m], payload) || unmap(from) != h.A.at(a) {
			t.Fatalf("%d bytes to B: %d from %v, %v", n, m, from, err)
		}
		if m, err := b.WriteToUDPAddrPort(payload, h.A.at(a)); m != n || err != nil {
			t.Fatalf("%d bytes to A: %d, %v", n, m, err)
		}
		if m, from, err := a.ReadFromUDPAddrPort(buf); err != nil || !bytes.Equal(buf[:m], payload) || unmap(from) != h.B.at(b) {
			t.Fatalf("%d bytes to A: %d from %v, %v", n, m, from, err)
		}
	}
}

// Pattern is n bytes that tell their position.
func Pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// testDualStack: "udp" on the wildcard takes both versions, and the address of a read serves for the answer.
func testDualStack(t *testing.T, h *Hosts) {
	a := h.A.open(t, "udp", netip.AddrPort{})
	b := h.B.listen(t)
	limit(t, a, b)
	to := netip.AddrPortFrom(h.A.Addr, addrOf(a).Port())
	buf := make([]byte, 100)
	for _, r := range receivers {
		if _, err := b.WriteToUDPAddrPort([]byte(r.name), to); err != nil {
			t.Fatal(err)
		}
		n, from, err := r.receive(a, buf)
		if err != nil || string(buf[:n]) != r.name || unmap(from) != h.B.at(b) {
			t.Fatalf("%s: %q from %v, %v", r.name, buf[:n], from, err)
		}
		if _, err := a.WriteToUDPAddrPort(buf[:n], from); err != nil {
			t.Fatal(err)
		}
		if n, _, err := b.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != r.name {
			t.Fatalf("answer: %q, %v", buf[:n], err)
		}
	}
	b.WriteToUDPAddrPort(nil, to)
	_, from, err := a.ReadFromUDPAddrPort(buf)
	if err != nil || from.Addr().Is4In6() != h.is4() {
		t.Errorf("sender %v, %v: IPv4 ones are v4-mapped here", from, err)
	}
	// A socket of one version has nothing to do with the other.
	other := h.A.open(t, map[bool]string{true: "udp6", false: "udp4"}[h.is4()], netip.AddrPort{})
	if _, err := other.WriteToUDPAddrPort([]byte("x"), h.B.at(b)); err == nil {
		t.Errorf("%v wrote to %v", other.LocalAddr(), h.B.at(b))
	}
	// The plain form of an IPv4 address does as well as the v4-mapped.
	if _, err := a.WriteToUDPAddrPort([]byte("plain"), h.B.at(b)); err != nil {
		t.Error(err)
	}
	if n, _, err := b.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != "plain" {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

// testSelf: a socket reaches itself, and an unspecified destination means the host.
func testSelf(t *testing.T, h *Hosts) {
	a := h.A.listen(t)
	wild := h.A.open(t, h.network(), netip.AddrPort{})
	limit(t, a, wild)
	buf := make([]byte, 100)
	for _, to := range []struct {
		c  Conn
		at netip.AddrPort
	}{
		{a, h.A.at(a)},
		{wild, h.A.at(wild)},
		{wild, addrOf(wild)},
	} {
		if _, err := wild.WriteToUDPAddrPort([]byte("self"), to.at); err != nil {
			t.Fatalf("to %v: %v", to.at, err)
		}
		if n, from, err := to.c.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != "self" || from.Port() != addrOf(wild).Port() {
			t.Fatalf("to %v: %q from %v, %v", to.at, buf[:n], from, err)
		}
	}
}
