// SPDX-License-Identifier: Apache-2.0

package pctest

import (
	"bytes"
	"testing"
)

const msgTrunc, msgCTrunc = 0x20, 0x8 // MSG_TRUNC and MSG_CTRUNC of Linux

// testTruncation: what does not fit is lost, the next datagram is whole.
func testTruncation(t *testing.T, h *Hosts) {
	a, b := h.pair(t)
	limit(t, a, b)
	send := func(n int) {
		t.Helper()
		if _, err := b.WriteToUDPAddrPort(Pattern(n), h.A.at(a)); err != nil {
			t.Fatal(err)
		}
	}
	buf := bytes.Repeat([]byte{0xA5}, 100)
	for _, r := range receivers {
		send(64)
		send(3)
		n, from, err := r.receive(a, buf[:10:20])
		if err != nil || n != 10 || !bytes.Equal(buf[:10], Pattern(64)[:10]) || unmap(from) != h.B.at(b) {
			t.Errorf("%s: %d bytes %v from %v, %v", r.name, n, buf[:10], from, err)
		}
		if buf[10] != 0xA5 {
			t.Errorf("%s wrote behind the slice", r.name)
		}
		if n, _, err := r.receive(a, buf[:10]); err != nil || n != 3 {
			t.Errorf("%s after it: %d, %v", r.name, n, err)
		}
	}
	send(64)
	if n, err := a.Read(buf[:10]); n != 10 || err != nil {
		t.Errorf("Read: %d, %v", n, err)
	}
	for _, tc := range []struct{ size, room, flags int }{{64, 63, msgTrunc}, {64, 64, 0}, {64, 65, 0}, {1, 0, msgTrunc}} {
		send(tc.size)
		n, _, flags, _, err := a.ReadMsgUDPAddrPort(buf[:tc.room], make([]byte, 64))
		if err != nil || n != min(tc.size, tc.room) || flags != tc.flags {
			t.Errorf("%d bytes into %d: %d, flags %#x, %v, want flags %#x", tc.size, tc.room, n, flags, err, tc.flags)
		}
	}
}

// testEmpty: datagrams without payload are datagrams, and slices without room take one.
func testEmpty(t *testing.T, h *Hosts) {
	a, b := h.pair(t)
	limit(t, a, b)
	buf := make([]byte, 10)
	for _, s := range senders {
		for _, r := range receivers {
			for _, payload := range [][]byte{nil, {}} {
				if n, err := s.send(a, payload, h.B.at(b)); n != 0 || err != nil {
					t.Fatalf("%s: %d, %v", s.name, n, err)
				}
				if n, from, err := b.ReadFromUDPAddrPort(buf); n != 0 || err != nil || unmap(from) != h.A.at(a) {
					t.Fatalf("%s: %d from %v, %v", s.name, n, from, err)
				}
			}
			b.WriteToUDPAddrPort(nil, h.A.at(a))
			if n, from, err := r.receive(a, buf); n != 0 || err != nil || unmap(from) != h.B.at(b) {
				t.Fatalf("%s of nothing: %d from %v, %v", r.name, n, from, err)
			}
			b.WriteToUDPAddrPort([]byte("lost"), h.A.at(a))
			if n, from, err := r.receive(a, nil); n != 0 || err != nil || unmap(from) != h.B.at(b) {
				t.Fatalf("%s into nothing: %d from %v, %v", r.name, n, from, err)
			}
		}
	}
	// Read is the exception: it does not look, even when there is something.
	if n, err := a.Read(nil); n != 0 || err != nil {
		t.Errorf("Read into nothing: %d, %v", n, err)
	}
	b.WriteToUDPAddrPort([]byte("x"), h.A.at(a))
	if n, err := a.Read(nil); n != 0 || err != nil {
		t.Errorf("Read into nothing: %d, %v", n, err)
	}
	if n, err := a.Read(buf); n != 1 || err != nil {
		t.Errorf("Read: %d, %v", n, err)
	}
}
