// SPDX-License-Identifier: Apache-2.0

package pctest

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"testing"
)

// Control messages of Linux, built and taken apart here by hand and with constants of its own, so that nothing under test judges
// itself. See ip(7), ipv6(7) and cmsg(3).
const (
	solIP, ipTOS, ipTTL, ipPktinfo                 = 0, 1, 2, 8
	solIPv6, ipv6Pktinfo, ipv6HopLimit, ipv6TClass = 41, 50, 52, 67

	word = strconv.IntSize / 8
)

type controlMessage struct {
	level, typ int
	data       []byte
}

// appendControl is CMSG_SPACE of one message.
func appendControl(b []byte, level, typ int, data []byte) []byte {
	n := word + 8 + len(data)
	if word == 8 {
		b = binary.NativeEndian.AppendUint64(b, uint64(n))
	} else {
		b = binary.NativeEndian.AppendUint32(b, uint32(n))
	}
	b = binary.NativeEndian.AppendUint32(b, uint32(level))
	b = binary.NativeEndian.AppendUint32(b, uint32(typ))
	b = append(b, data...)
	for ; n%word != 0; n++ {
		b = append(b, 0)
	}
	return b
}

func appendControlInt(b []byte, level, typ int, v int32) []byte {
	return appendControl(b, level, typ, binary.NativeEndian.AppendUint32(nil, uint32(v)))
}

func parseControl(t *testing.T, b []byte) (list []controlMessage) {
	t.Helper()
	for len(b) >= word+8 {
		n := int(binary.NativeEndian.Uint32(b)) // little-endian, or 4 bytes
		if word == 8 {
			n = int(binary.NativeEndian.Uint64(b))
		}
		if n < word+8 || n > len(b) {
			t.Fatalf("control messages % x", b)
		}
		list = append(list, controlMessage{
			int(int32(binary.NativeEndian.Uint32(b[word:]))), int(int32(binary.NativeEndian.Uint32(b[word+4:]))), b[word+8 : n],
		})
		b = b[min((n+word-1)&^(word-1), len(b)):]
	}
	return list
}

// arrival is what control messages say.
type arrival struct {
	to       netip.Addr
	ifIndex  uint32
	ttl, tos int
}

func readArrival(t *testing.T, oob []byte) arrival {
	t.Helper()
	a := arrival{ttl: -1, tos: -1}
	for _, m := range parseControl(t, oob) {
		switch {
		case m.level == solIP && m.typ == ipPktinfo && len(m.data) == 12:
			a.ifIndex = binary.NativeEndian.Uint32(m.data)
			a.to = netip.AddrFrom4([4]byte(m.data[8:]))
			if spec := netip.AddrFrom4([4]byte(m.data[4:])); spec != a.to {
				t.Errorf("ipi_spec_dst %v for %v", spec, a.to)
			}
		case m.level == solIPv6 && m.typ == ipv6Pktinfo && len(m.data) == 20:
			a.to = netip.AddrFrom16([16]byte(m.data))
			a.ifIndex = binary.NativeEndian.Uint32(m.data[16:])
		case m.level == solIP && m.typ == ipTTL && len(m.data) == 4, m.level == solIPv6 && m.typ == ipv6HopLimit && len(m.data) == 4:
			a.ttl = int(int32(binary.NativeEndian.Uint32(m.data)))
		case m.level == solIP && m.typ == ipTOS && len(m.data) == 1:
			a.tos = int(m.data[0])
		case m.level == solIPv6 && m.typ == ipv6TClass && len(m.data) == 4:
			a.tos = int(int32(binary.NativeEndian.Uint32(m.data)))
		default:
			t.Errorf("control message %v", m)
		}
	}
	return a
}

// ask turns control messages on, or reports false.
func (h *Host) ask(t *testing.T, c Conn) bool {
	t.Helper()
	if h.Control == nil {
		t.Log("the host has no control messages")
		return false
	}
	if err := h.Control(c); err != nil {
		t.Fatal(err)
	}
	return true
}

// asked are the control messages for a send.
func (h *Hosts) asked(ttl, tos int32) []byte {
	if h.is4() {
		return appendControlInt(appendControlInt(nil, solIP, ipTTL, ttl), solIP, ipTOS, tos)
	}
	return appendControlInt(appendControlInt(nil, solIPv6, ipv6HopLimit, ttl), solIPv6, ipv6TClass, tos)
}

// testControlRead: B sends with TTL and TOS, A reads them with the destination and the interface.
func testControlRead(t *testing.T, h *Hosts) {
	a := h.A.open(t, h.network(), netip.AddrPort{})
	b := h.B.listen(t)
	limit(t, a, b)
	if !h.A.ask(t, a) || !h.B.ask(t, b) {
		return
	}
	buf, oob := make([]byte, 100), make([]byte, 200)
	var first arrival
	for i, tc := range []struct{ ttl, tos int32 }{{64, 0}, {33, 0x48}, {255, 0xfc}, {1, 0x01}} {
		if _, _, err := b.WriteMsgUDPAddrPort([]byte("x"), h.asked(tc.ttl, tc.tos), h.A.at(a)); err != nil {
			t.Fatal(err)
		}
		n, oobn, flags, from, err := a.ReadMsgUDPAddrPort(buf, oob)
		if n != 1 || flags != 0 || err != nil || unmap(from) != h.B.at(b) {
			t.Fatalf("%d bytes from %v, flags %#x, %v", n, from, flags, err)
		}
		got := readArrival(t, oob[:oobn])
		if got.to != h.A.Addr.WithZone("") || got.ttl != int(tc.ttl) || got.tos != int(tc.tos) || got.ifIndex == 0 {
			t.Errorf("TTL %d TOS %#x: %+v", tc.ttl, tc.tos, got)
		}
		if i == 0 {
			first = got
		} else if got.ifIndex != first.ifIndex {
			t.Errorf("interface %d, then %d", first.ifIndex, got.ifIndex)
		}
	}
	// Reads of the other forms and with no room do not mind.
	for _, r := range receivers {
		b.WriteToUDPAddrPort([]byte(r.name), h.A.at(a))
		if n, _, err := r.receive(a, buf); err != nil || string(buf[:n]) != r.name {
			t.Errorf("%s: %q, %v", r.name, buf[:n], err)
		}
	}
}

// testControlWrite: A sends with TTL, TOS and a source, B reads them.
func testControlWrite(t *testing.T, h *Hosts) {
	for _, network := range []string{h.network(), "udp"} {
		a := h.A.open(t, network, netip.AddrPort{})
		b := h.B.listen(t)
		limit(t, a, b)
		if !h.A.ask(t, a) || !h.B.ask(t, b) {
			return
		}
		pktinfo := appendControl(nil, solIPv6, ipv6Pktinfo, append(h.A.Addr.AsSlice(), 0, 0, 0, 0))
		if h.is4() {
			info := append(make([]byte, 4), h.A.Addr.AsSlice()...)
			pktinfo = appendControl(nil, solIP, ipPktinfo, append(info, 0, 0, 0, 0))
		}
		buf, oob := make([]byte, 100), make([]byte, 200)
		for _, tc := range []struct {
			name    string
			control []byte
			ttl     int
			tos     int
		}{
			{"nothing", nil, -1, 0},
			{"TTL and TOS", h.asked(17, 0xb8), 17, 0xb8},
			{"source", pktinfo, -1, 0},
			{"all", append(append([]byte(nil), pktinfo...), h.asked(200, 2)...), 200, 2},
		} {
			n, oobn, err := a.WriteMsgUDPAddrPort([]byte("xy"), tc.control, h.B.at(b))
			if n != 2 || oobn != len(tc.control) || err != nil {
				t.Fatalf("%s %s: %d, %d, %v", network, tc.name, n, oobn, err)
			}
			n, oobn, flags, from, err := b.ReadMsgUDPAddrPort(buf, oob)
			if n != 2 || flags != 0 || err != nil || unmap(from) != h.A.at(a) {
				t.Fatalf("%s %s: %d bytes from %v, flags %#x, %v", network, tc.name, n, from, flags, err)
			}
			got := readArrival(t, oob[:oobn])
			if tc.ttl >= 0 && got.ttl != tc.ttl || got.tos != tc.tos || got.to != h.B.Addr.WithZone("") {
				t.Errorf("%s %s: %+v", network, tc.name, got)
			}
		}
	}
}

// testControlTruncation: whole messages only, and a flag when some are missing.
func testControlTruncation(t *testing.T, h *Hosts) {
	a := h.A.listen(t)
	b := h.B.listen(t)
	limit(t, a, b)
	if !h.A.ask(t, a) {
		return
	}
	buf, oob := make([]byte, 100), make([]byte, 200)
	send := func() {
		t.Helper()
		if _, err := b.WriteToUDPAddrPort([]byte("x"), h.A.at(a)); err != nil {
			t.Fatal(err)
		}
	}
	send()
	_, whole, flags, _, err := a.ReadMsgUDPAddrPort(buf, oob)
	if flags != 0 || err != nil || len(parseControl(t, oob[:whole])) != 3 {
		t.Fatalf("%d bytes of control messages, flags %#x, %v", whole, flags, err)
	}
	first := word + 8 + len(parseControl(t, oob[:whole])[0].data)
	for _, room := range []int{0, 1, word + 7, first} {
		send()
		n, oobn, flags, _, err := a.ReadMsgUDPAddrPort(buf, oob[:room])
		if n != 1 || err != nil || flags != msgCTrunc || oobn > room {
			t.Errorf("room for %d: %d, %d, flags %#x, %v", room, n, oobn, flags, err)
		}
		if list := parseControl(t, oob[:oobn]); room == first && len(list) != 1 || room < first && len(list) > 0 {
			t.Errorf("room for %d: %v", room, list)
		}
	}
	send()
	if _, oobn, flags, _, err := a.ReadMsgUDPAddrPort(buf, oob[:whole]); oobn != whole || flags != 0 || err != nil {
		t.Errorf("room for all: %d of %d, flags %#x, %v", oobn, whole, flags, err)
	}
}

// testControlInvalid: a send with control messages that make no sense fails and sends nothing.
func testControlInvalid(t *testing.T, h *Hosts) {
	a, b := h.pair(t)
	limit(t, a, b)
	if h.A.Control == nil {
		t.Log("the host has no control messages")
		return
	}
	level, ttl, tos := solIPv6, ipv6HopLimit, ipv6TClass
	if h.is4() {
		level, ttl, tos = solIP, ipTTL, ipTOS
	}
	short := appendControlInt(nil, level, ttl, 9)
	short[0] = byte(word + 7)
	long := appendControlInt(nil, level, ttl, 9)
	long[0] = 200
	for name, control := range map[string][]byte{
		"length below a header": short,
		"length beyond the end": long,
		"TTL 256":               appendControlInt(nil, level, ttl, 256),
		"TTL -2":                appendControlInt(nil, level, ttl, -2),
		"TTL of 3 bytes":        appendControl(nil, level, ttl, []byte{1, 0, 0}),
		"TOS 256":               appendControlInt(nil, level, tos, 256),
		"unknown type":          appendControlInt(nil, level, 99, 0),
		"the second is bad":     appendControlInt(h.asked(5, 5), level, ttl, 256),
	} {
		n, oobn, err := a.WriteMsgUDPAddrPort([]byte(name), control, h.B.at(b))
		if err == nil || n != 0 || oobn != 0 {
			t.Errorf("%s: %d, %d, %v", name, n, oobn, err)
			continue
		}
		isOpError(t, name, err)
	}
	if _, _, err := a.WriteMsgUDPAddrPort([]byte("good"), nil, h.B.at(b)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, _, err := b.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != "good" {
		t.Errorf("%q arrived, %v", buf[:n], err)
	}
}
