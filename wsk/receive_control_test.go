// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// show is control data in readable form: level/type=data.
func show(list []wsk.CMsg) string {
	var out []string
	for _, m := range list {
		out = append(out, fmt.Sprintf("%d/%d=%s", m.Level, m.Type, hex.EncodeToString(m.Data)))
	}
	return strings.Join(out, " ")
}

// The objects of the arrivals that from makes, by hand: 192.0.2.10 or 2001:db8::10, interface 3, TTL 61, TOS 0xb9.
const (
	pktinfo4 = "0/19=c000020a03000000"
	pktinfo6 = "41/19=20010db800000000000000000000001003000000"
)

// Checklist item 63: each object comes only when it is asked for; on a dual-stack socket the objects are those of the
// datagram's own IP version.
func TestReceiveControl(t *testing.T) {
	v4 := map[uint32]string{
		wsk.IP_PKTINFO: pktinfo4, wsk.IP_RECVTTL: "0/4=3d000000", wsk.IP_RECVTOS: "0/3=b9000000", wsk.IP_RECVECN: "0/50=01000000",
		wsk.IP_RECVDSTADDR: "0/25=c000020a", wsk.IP_RECVIF: "0/24=03000000", wsk.IP_RECVERR: "",
	}
	v6 := map[uint32]string{
		wsk.IPV6_PKTINFO: pktinfo6, wsk.IPV6_HOPLIMIT: "41/21=3d000000", wsk.IPV6_RECVTCLASS: "41/39=b9000000",
		wsk.IPV6_RECVECN: "41/50=01000000", wsk.IPV6_RECVDSTADDR: "41/25=20010db8000000000000000000000010",
		wsk.IPV6_RECVIF: "41/24=03000000", wsk.IPV6_RECVERR: "",
	}
	for _, c := range []struct {
		local  string
		setup  []option
		sender string
		level  uint32
		codes  map[uint32]string
		other  []option // of the other level: without effect
	}{
		{"0.0.0.0:1000", nil, peer, ip, v4, nil},
		{"[::]:1000", nil, "[2001:db8::7]:9", ip6, v6, []option{{ip, wsk.IP_PKTINFO, 1}}},
		{"[::]:1000", []option{dualStack}, "[2001:db8::7]:9", ip6, v6, []option{{ip, wsk.IP_PKTINFO, 1}, {ip, wsk.IP_RECVTTL, 1}}},
		{"[::]:1000", []option{dualStack}, peer, ip, v4, []option{{ip6, wsk.IPV6_PKTINFO, 1}, {ip6, wsk.IPV6_HOPLIMIT, 1}}},
	} {
		for code, wanted := range c.codes {
			h := newHost(t)
			s := h.bound(c.local, c.setup...)
			for _, o := range c.other {
				want(t, "other level", h.set(s, o.level, o.code, o.value), wsk.STATUS_SUCCESS)
			}
			for _, on := range []uint32{0, 1, 0} {
				want(t, "set", h.set(s, c.level, code, on), wsk.STATUS_SUCCESS)
				if v, status := h.get(s, c.level, code); v != on || status != wsk.STATUS_SUCCESS {
					t.Errorf("%d/%d: got %d, %v", c.level, code, v, status)
				}
				h.transport.Arrive(from(c.sender, "x"))
				r := h.receive(s, 8)
				r.payload()
				expect := ""
				if on != 0 {
					expect = wanted
				}
				if got := show(r.objects()); got != expect || r.flags != 0 {
					t.Errorf("%s, option %d/%d %d: %q, want %q", c.local, c.level, code, on, got, expect)
				}
			}
		}
	}
}

// All objects at once, in an indication and in a receive; and with too little room: whole objects only, and MSG_CTRUNC.
func TestReceiveControlRoom(t *testing.T) {
	h := newHost(t)
	var indicated string
	s := h.eventSocket("[::]:1000", func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
		indicated = show(objects(t, list.ControlInfo))
		return wsk.STATUS_SUCCESS
	})
	for _, code := range []uint32{
		wsk.IPV6_PKTINFO, wsk.IPV6_HOPLIMIT, wsk.IPV6_RECVTCLASS, wsk.IPV6_RECVECN, wsk.IPV6_RECVDSTADDR, wsk.IPV6_RECVIF,
	} {
		want(t, "set", h.set(s, ip6, code, 1), wsk.STATUS_SUCCESS)
	}
	want(t, "coalescing", h.set(s, udp, wsk.UDP_RECV_MAX_COALESCED_SIZE, 65527), wsk.STATUS_SUCCESS)
	arrival := from("[2001:db8::7]:9", "aaabbbc")
	arrival.Segment = 3
	wanted := []string{
		pktinfo6, "41/21=3d000000", "41/39=b9000000", "41/50=01000000", "41/25=20010db8000000000000000000000010",
		"41/24=03000000", "17/3=03000000",
	}
	want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
	h.transport.Arrive(arrival)
	if indicated != strings.Join(wanted, " ") {
		t.Errorf("indicated %s", indicated)
	}
	sizes := []int{40, 24, 24, 24, 32, 24, 24}
	for room := range 200 {
		irp := newCall(t)
		control := bytes.Repeat([]byte{0xEE}, 256)
		length, flags := uint32(room), uint32(0)
		status := s.ReceiveFrom(text("room for it"), 0, nil, &length, control, &flags, &irp.IRP)
		h.transport.Arrive(arrival)
		want(t, "ReceiveFrom", irp.end("ReceiveFrom", status), wsk.STATUS_SUCCESS)
		n, used := 0, 0
		for n < len(sizes) {
			unpadded := sizes[n]
			if n == 0 || n == 1 || n == 2 || n == 3 || n == 5 || n == 6 { // 20 and 4 bytes of data need 4 bytes of padding
				unpadded -= 4
			}
			if used+unpadded > room {
				break
			}
			used = min(used+sizes[n], room)
			n++
		}
		if got := show(objects(t, control[:length])); got != strings.Join(wanted[:n], " ") || int(length) != used ||
			(flags&wsk.MSG_CTRUNC != 0) != (room < 188) {
			t.Errorf("room %d: length %d, flags %#x, %s; want %d objects in %d", room, length, flags, got, n, used)
		}
		if !bytes.Equal(control[length:], bytes.Repeat([]byte{0xEE}, 256-int(length))) {
			t.Errorf("room %d: written behind the end", room)
		}
	}
}

// Checklist item 68: ICMP errors, only when asked for. The remote address is the destination that the error concerns.
func TestReceiveErrors(t *testing.T) {
	for _, c := range []struct {
		local  string
		setup  []option
		level  uint32
		sender string
		err    wsk.ReceiveError
		want   string
	}{
		{"0.0.0.0:1000", nil, ip, peer, wsk.ReceiveError{Protocol: 1, Type: 3, Code: 4, Info: 1400}, "0/75=010000007805000003040000"},
		{"[::]:1000", nil, ip6, "[2001:db8::7]:9", wsk.ReceiveError{Protocol: 58, Type: 1, Code: 4}, "41/75=3a0000000000000001040000"},
		{"[::]:1000", []option{dualStack}, ip, peer, wsk.ReceiveError{Protocol: 1, Type: 3, Code: 3}, "0/75=010000000000000003030000"},
	} {
		h := newHost(t)
		s := h.bound(c.local, c.setup...)
		arrival := from(c.sender, "")
		arrival.Err = &c.err
		for _, code := range []uint32{wsk.IP_RECVTTL, wsk.IP_RECVTOS} { // which an error does not have
			want(t, "set", h.set(s, c.level, code, 1), wsk.STATUS_SUCCESS)
		}
		h.transport.Arrive(arrival)
		if st := s.ReceiveStatistics(); st.Errors != 1 || st.Buffered != 0 {
			t.Errorf("nobody asked: %+v", st)
		}
		if o := h.transport.Options(h.local(s)); o.Errors {
			t.Error("the transport was asked for errors")
		}
		want(t, "RECVERR", h.set(s, c.level, wsk.IP_RECVERR, 1), wsk.STATUS_SUCCESS)
		if o := h.transport.Options(h.local(s)); !o.Errors {
			t.Error("the transport was not asked for errors")
		}
		h.transport.Arrive(arrival)
		r := h.receive(s, 8)
		if r.payload() != "" || show(r.objects()) != c.want {
			t.Errorf("%s: %s", c.local, show(r.objects()))
		}
		if got, _ := wsk.ParseReceiveError(r.objects()[0].Data); got != c.err {
			t.Errorf("parsed %+v, want %+v", got, c.err)
		}
		if ap, _ := r.from.AddrPort(); netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String() != c.sender {
			t.Errorf("remote %v", r.from)
		}
		want(t, "another fixed remote", h.ioctl(s, wsk.SIO_WSK_SET_REMOTE_ADDRESS, mapped(c.local, "198.51.100.99:9")), wsk.STATUS_SUCCESS)
		h.transport.Arrive(arrival)
		if st := s.ReceiveStatistics(); st.Errors != 2 {
			t.Errorf("of another remote: %+v", st)
		}
		h.nothingLent()
	}
	if _, ok := wsk.ParseReceiveError(make([]byte, 11)); ok {
		t.Error("an IN_RECVERR of 11 bytes")
	}
}

// mapped is remote in the form that a socket bound to local has for it.
func mapped(local, remote string) wsk.SOCKADDR {
	if strings.HasPrefix(local, "[") {
		if ap := netip.MustParseAddrPort(remote); ap.Addr().Is4() {
			return addr("[2001:db8::99]:9")
		}
	}
	return addr(remote)
}

// Checklist item 65, this package's part: coalesced data and UDP_COALESCED_INFO only for sockets that have asked for
// them, and single datagrams for the others, also when the option is switched off while some are buffered.
func TestReceiveCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		s := h.bound("0.0.0.0:1000")
		arrival := from(peer, "aaabbbc")
		arrival.Segment = 3
		single := func(when string) {
			t.Helper()
			var got []string
			for range 3 {
				r := h.receive(s, 64)
				got = append(got, r.payload())
				if r.controlLength != 0 {
					t.Errorf("%s: %s", when, show(r.objects()))
				}
			}
			if !slices.Equal(got, []string{"aaa", "bbb", "c"}) {
				t.Errorf("%s: %q", when, got)
			}
		}
		h.transport.Arrive(arrival)
		single("not asked for")
		want(t, "on", h.set(s, udp, wsk.UDP_RECV_MAX_COALESCED_SIZE, 65527), wsk.STATUS_SUCCESS)
		if o := h.transport.Options(h.local(s)); o.MaxCoalesced != 65527 {
			t.Errorf("the transport was told %+v", o)
		}
		h.transport.Arrive(arrival)
		r := h.receive(s, 64)
		if r.payload() != "aaabbbc" || show(r.objects()) != "17/3=03000000" {
			t.Errorf("received %q, %s", r.data, show(r.objects()))
		}
		h.transport.Arrive(arrival)
		want(t, "off", h.set(s, udp, wsk.UDP_RECV_MAX_COALESCED_SIZE, 0), wsk.STATUS_SUCCESS)
		if o := h.transport.Options(h.local(s)); o.MaxCoalesced != 0 {
			t.Errorf("the transport was told %+v", o)
		}
		single("switched off")
		h.nothingLent()
	})
}

// IP_RECEIVE_BROADCAST, IP_MULTICAST_LOOP on the receiver's side, and IP versions that a socket does not receive.
func TestReceiveFilters(t *testing.T) {
	h := newHost(t)
	h.transport.SetLocal(netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10"))
	s := h.bound("0.0.0.0:1000")
	count := func(when string, filtered uint64, list ...wsktest.Arrival) {
		t.Helper()
		before := s.ReceiveStatistics()
		h.transport.Arrive(list...)
		after := s.ReceiveStatistics()
		if after.Filtered-before.Filtered != filtered || after.Buffered-before.Buffered != len(list)-int(filtered) {
			t.Errorf("%s: %+v, before %+v", when, after, before)
		}
	}
	broadcast := from(peer, "b")
	broadcast.Cast = wsk.Broadcast
	count("broadcast", 0, broadcast)
	want(t, "off", h.set(s, ip, wsk.IP_RECEIVE_BROADCAST, 0), wsk.STATUS_SUCCESS)
	count("broadcast off", 1, broadcast, from(peer, "u"))

	want(t, "join", h.setBytes(s, ip, wsk.IP_ADD_MEMBERSHIP, []byte{239, 1, 2, 3, 0, 0, 0, 0}), wsk.STATUS_SUCCESS)
	own, others := from("192.0.2.10:7", "own"), from(peer, "other's")
	own.To, others.To = groupAddr, groupAddr
	count("loop on", 0, own, others)
	if v, _ := h.get(s, ip, wsk.IP_MULTICAST_LOOP); v != 1 {
		t.Errorf("IP_MULTICAST_LOOP %d", v)
	}
	want(t, "loop off", h.set(s, ip, wsk.IP_MULTICAST_LOOP, 0), wsk.STATUS_SUCCESS)
	count("loop off", 1, own, others)
	count("own unicast", 0, from("192.0.2.10:7", "own"))
	h.transport.SetLocal(netip.MustParseAddr("198.51.100.7")) // the host's addresses have changed
	count("after a change", 1, own, others)
	want(t, "loop on again", h.set(s, ip, wsk.IP_MULTICAST_LOOP, 1), wsk.STATUS_SUCCESS)
	count("loop on again", 0, own, others)
	if got := h.receive(s, 8).payload(); got != "u" { // the broadcast that was buffered has been dropped with the option
		t.Errorf("received %q", got)
	}

	s = h.bound("[::]:1000") // IPV6_V6ONLY is on; a transport that delivers IPv4 all the same
	lender := &wsktest.Arrival{From: netip.MustParseAddrPort("[::ffff:198.51.100.7]:9"), To: netip.MustParseAddrPort("[2001:db8::10]:1000")}
	count("IPv4 on an IPv6-only socket", 1, *lender)
	s = h.bound("0.0.0.0:1002")
	wrong := from("[2001:db8::7]:9", "x")
	wrong.To = netip.MustParseAddrPort("192.0.2.10:1002")
	count("IPv6 on an IPv4 socket", 1, wrong)
}

// Options that are set before the bind reach the transport with the bind, later ones at once, each of them once.
func TestReceiveOptionsReachTransport(t *testing.T) {
	h := newHost(t)
	s := h.socket(wsk.AF_INET)
	for _, o := range []option{{ip, wsk.IP_RECVERR, 1}, {sol, wsk.SO_RCVBUF, 0}, {udp, wsk.UDP_RECV_MAX_COALESCED_SIZE, 9000}} {
		want(t, "set", h.set(s, o.level, o.code, o.value), wsk.STATUS_SUCCESS)
	}
	want(t, "Bind", h.bind(s, "0.0.0.0:1000"), wsk.STATUS_SUCCESS)
	if o := h.transport.Options(h.local(s)); o != (wsk.ReceiveOptions{Errors: true, MaxCoalesced: 9000, BufferBytes: 1}) {
		t.Errorf("%+v", o)
	}
	want(t, "unrelated", h.set(s, ip, wsk.IP_TTL, 3), wsk.STATUS_SUCCESS)
	want(t, "RCVBUF", h.set(s, sol, wsk.SO_RCVBUF, 5000), wsk.STATUS_SUCCESS)
	if o := h.transport.Options(h.local(s)); o.BufferBytes != 5000 || h.transport.Counts().Configured != 2 {
		t.Errorf("%+v, configured %d times", o, h.transport.Counts().Configured)
	}
}

// local is the address that a socket is bound to.
func (h *host) local(s *wsk.Socket) netip.AddrPort {
	h.t.Helper()
	sa := make(wsk.SOCKADDR, wsk.SizeofSockaddrIn6)
	c := newCall(h.t)
	want(h.t, "GetLocalAddress", c.end("GetLocalAddress", s.GetLocalAddress(sa, &c.IRP)), wsk.STATUS_SUCCESS)
	ap, _ := sa.AddrPort()
	return ap
}
