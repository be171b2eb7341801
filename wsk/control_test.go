// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Levels and codes, short for the tables.
const (
	sol = wsk.SOL_SOCKET
	ip  = wsk.IPPROTO_IP
	ip6 = wsk.IPPROTO_IPV6
	udp = wsk.IPPROTO_UDP
)

// Checklist items 52 and 54 (byte orders): the default, setting, getting. If the value to set is nil the option is
// only got.
func TestOptionRoundTrip(t *testing.T) {
	val := func(v uint32) *uint32 { return &v }
	for _, c := range []struct {
		name        string
		family      uint16
		level, code uint32
		initial     uint32
		set         *uint32
		get         uint32
	}{
		{"SO_REUSEADDR", 2, sol, wsk.SO_REUSEADDR, 0, val(5), 1},
		{"SO_EXCLUSIVEADDRUSE", 2, sol, wsk.SO_EXCLUSIVEADDRUSE, 0, val(1), 1},
		{"SO_BROADCAST", 2, sol, wsk.SO_BROADCAST, 0, val(1), 1},
		{"SO_SNDBUF", 2, sol, wsk.SO_SNDBUF, 0, val(123456), 123456},
		{"SO_TYPE", 2, sol, wsk.SO_TYPE, 2, nil, 2},
		{"SO_MAX_MSG_SIZE", 2, sol, wsk.SO_MAX_MSG_SIZE, 65507, nil, 65507},
		{"SO_MAX_MSG_SIZE/6", 23, sol, wsk.SO_MAX_MSG_SIZE, 65527, nil, 65527},
		{"IP_TTL", 2, ip, wsk.IP_TTL, 128, val(64), 64},
		{"IP_TOS", 2, ip, wsk.IP_TOS, 0, val(0xb8), 0xb8},
		{"IP_MULTICAST_TTL", 2, ip, wsk.IP_MULTICAST_TTL, 1, val(4), 4},
		{"IP_MULTICAST_IF", 2, ip, wsk.IP_MULTICAST_IF, 0, val(0x03000000), 3}, // set in network order, got in host order
		{"IP_UNICAST_IF", 2, ip, wsk.IP_UNICAST_IF, 0, val(0x03000000), 0x03000000},
		{"IP_DONTFRAGMENT", 2, ip, wsk.IP_DONTFRAGMENT, 0, val(1), 1},
		{"IP_MTU_DISCOVER", 2, ip, wsk.IP_MTU_DISCOVER, 0, val(3), 3},
		{"IP_TTL on AF_INET6", 23, ip, wsk.IP_TTL, 128, val(64), 64},
		{"IP_TOS on AF_INET6", 23, ip, wsk.IP_TOS, 0, val(1), 1},
		{"IP_DONTFRAGMENT on AF_INET6", 23, ip, wsk.IP_DONTFRAGMENT, 0, val(1), 1},
		{"IP_UNICAST_IF on AF_INET6", 23, ip, wsk.IP_UNICAST_IF, 0, val(0x03000000), 0x03000000},
		{"IPV6_V6ONLY", 23, ip6, wsk.IPV6_V6ONLY, 1, val(0), 0},
		{"IPV6_UNICAST_HOPS", 23, ip6, wsk.IPV6_UNICAST_HOPS, 128, val(64), 64},
		{"IPV6_UNICAST_HOPS default", 23, ip6, wsk.IPV6_UNICAST_HOPS, 128, val(0xFFFFFFFF), 128},
		{"IPV6_MULTICAST_HOPS", 23, ip6, wsk.IPV6_MULTICAST_HOPS, 1, val(4), 4},
		{"IPV6_MULTICAST_HOPS default", 23, ip6, wsk.IPV6_MULTICAST_HOPS, 1, val(0xFFFFFFFF), 1},
		{"IPV6_MULTICAST_IF", 23, ip6, wsk.IPV6_MULTICAST_IF, 0, val(3), 3},
		{"IPV6_UNICAST_IF", 23, ip6, wsk.IPV6_UNICAST_IF, 0, val(3), 3}, // host order, other than IP_UNICAST_IF
		{"IPV6_TCLASS", 23, ip6, wsk.IPV6_TCLASS, 0, val(0xb8), 0xb8},
		{"IPV6_DONTFRAG", 23, ip6, wsk.IPV6_DONTFRAG, 0, val(1), 1},
		{"IPV6_MTU_DISCOVER", 23, ip6, wsk.IPV6_MTU_DISCOVER, 0, val(2), 2},
		{"SO_RCVBUF", 2, sol, wsk.SO_RCVBUF, 1 << 20, val(123456), 123456},
		{"IP_PKTINFO", 2, ip, wsk.IP_PKTINFO, 0, val(7), 1},
		{"IP_RECVTTL", 2, ip, wsk.IP_RECVTTL, 0, val(1), 1},
		{"IP_RECVTOS", 2, ip, wsk.IP_RECVTOS, 0, val(1), 1},
		{"IP_RECVECN", 2, ip, wsk.IP_RECVECN, 0, val(1), 1},
		{"IP_RECVERR", 2, ip, wsk.IP_RECVERR, 0, val(1), 1},
		{"IP_RECVIF", 2, ip, wsk.IP_RECVIF, 0, val(1), 1},
		{"IP_RECVDSTADDR", 2, ip, wsk.IP_RECVDSTADDR, 0, val(1), 1},
		{"IP_RECEIVE_BROADCAST", 2, ip, wsk.IP_RECEIVE_BROADCAST, 1, val(0), 0},
		{"IP_MULTICAST_LOOP", 2, ip, wsk.IP_MULTICAST_LOOP, 1, val(0), 0},
		{"IP_PKTINFO on AF_INET6", 23, ip, wsk.IP_PKTINFO, 0, val(1), 1},
		{"IPV6_PKTINFO", 23, ip6, wsk.IPV6_PKTINFO, 0, val(1), 1},
		{"IPV6_HOPLIMIT", 23, ip6, wsk.IPV6_HOPLIMIT, 0, val(1), 1},
		{"IPV6_RECVTCLASS", 23, ip6, wsk.IPV6_RECVTCLASS, 0, val(1), 1},
		{"IPV6_RECVECN", 23, ip6, wsk.IPV6_RECVECN, 0, val(1), 1},
		{"IPV6_RECVERR", 23, ip6, wsk.IPV6_RECVERR, 0, val(1), 1},
		{"IPV6_MULTICAST_LOOP", 23, ip6, wsk.IPV6_MULTICAST_LOOP, 1, val(0), 0},
		{"UDP_RECV_MAX_COALESCED_SIZE", 23, udp, wsk.UDP_RECV_MAX_COALESCED_SIZE, 0, val(65527), 65527},
		{"UDP_NOCHECKSUM", 2, udp, wsk.UDP_NOCHECKSUM, 0, val(1), 1},
		{"UDP_SEND_MSG_SIZE", 2, udp, wsk.UDP_SEND_MSG_SIZE, 0, val(1200), 1200},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			s := h.socket(c.family)
			got, status := h.get(s, c.level, c.code)
			want(t, "get", status, wsk.STATUS_SUCCESS)
			if got != c.initial {
				t.Errorf("default %d, want %d", got, c.initial)
			}
			if c.set == nil {
				want(t, "set", h.set(s, c.level, c.code, 1), wsk.STATUS_NOT_SUPPORTED)
				return
			}
			want(t, "set", h.set(s, c.level, c.code, *c.set), wsk.STATUS_SUCCESS)
			got, status = h.get(s, c.level, c.code)
			want(t, "get", status, wsk.STATUS_SUCCESS)
			if got != c.get {
				t.Errorf("set %#x, got %#x, want %#x", *c.set, got, c.get)
			}
			for _, size := range []int{0, 2, 3, 5, 8} {
				want(t, fmt.Sprintf("set with %d bytes", size), h.setBytes(s, c.level, c.code, make([]byte, size)),
					wsk.STATUS_INVALID_PARAMETER)
			}
			for _, size := range []int{0, 3} {
				irp := newCall(t)
				want(t, fmt.Sprintf("get into %d bytes", size), irp.end("get", s.ControlSocket(wsk.WskGetOption, c.code, c.level,
					nil, make([]byte, size), nil, &irp.IRP)), wsk.STATUS_BUFFER_TOO_SMALL)
			}
		})
	}
}

// Checklist item 52: values out of range, and what this provider does not have. Never a false success.
func TestOptionRefused(t *testing.T) {
	h := newHost(t)
	s4, s6 := h.socket(2), h.socket(23)
	const invalid, unsupported = wsk.STATUS_INVALID_PARAMETER, wsk.STATUS_NOT_SUPPORTED
	for _, c := range []struct {
		s                  *wsk.Socket
		level, code, value uint32
		want               wsk.NTSTATUS
	}{
		{s4, ip, wsk.IP_TTL, 0, invalid},
		{s4, ip, wsk.IP_TTL, 256, invalid},
		{s4, ip, wsk.IP_TOS, 256, invalid},
		{s4, ip, wsk.IP_MULTICAST_TTL, 0, invalid},
		{s4, ip, wsk.IP_MULTICAST_TTL, 256, invalid},
		{s4, ip, wsk.IP_MTU_DISCOVER, 4, invalid},
		{s4, ip, wsk.IP_UNICAST_IF, 3, invalid}, // an index in the wrong byte order
		{s6, ip6, wsk.IPV6_UNICAST_HOPS, 0, invalid},
		{s6, ip6, wsk.IPV6_UNICAST_HOPS, 0xFFFFFFFE, invalid},
		{s6, ip6, wsk.IPV6_MULTICAST_HOPS, 256, invalid},
		{s6, ip6, wsk.IPV6_TCLASS, 256, invalid},

		{s4, sol, wsk.SO_SNDTIMEO, 1, unsupported},
		{s4, sol, wsk.SO_KEEPALIVE, 1, unsupported},
		{s4, sol, wsk.SO_MAX_MSG_SIZE, 1, unsupported},
		{s4, sol, 0x7777, 1, unsupported},
		{s4, sol, wsk.SO_ERROR, 0, unsupported}, // a WSK socket keeps no error: each is in its IRP
		{s4, sol, wsk.SO_COMPARTMENT_ID, 1, unsupported},
		{s4, ip, wsk.IP_PKTINFO_EX, 1, unsupported},
		{s4, ip, wsk.IP_ORIGINAL_ARRIVAL_IF, 1, unsupported},
		{s6, ip6, wsk.IP_RECEIVE_BROADCAST, 1, unsupported},
		{s4, ip, wsk.IP_MTU, 1, unsupported},
		{s4, ip, wsk.IP_USER_MTU, 1400, unsupported},
		{s4, ip, wsk.IP_HDRINCL, 1, unsupported},
		{s4, ip, 0x7777, 1, unsupported},
		{s6, ip6, wsk.IPV6_MTU, 1, unsupported},
		{s6, ip6, 3, 1, unsupported}, // IP_TOS is no option of IPv6
		{s4, ip6, wsk.IPV6_UNICAST_HOPS, 1, unsupported},
		{s4, udp, wsk.UDP_CHECKSUM_COVERAGE, 1, unsupported},
		{s4, wsk.IPPROTO_TCP, 1, 1, unsupported},
	} {
		want(t, fmt.Sprintf("set %d/%d = %d", c.level, c.code, c.value), h.set(c.s, c.level, c.code, c.value), c.want)
	}
	for _, c := range []struct {
		s           *wsk.Socket
		level, code uint32
	}{{s4, sol, wsk.SO_ERROR}, {s4, ip, 0x7777}, {s4, ip6, wsk.IPV6_V6ONLY}, {s6, ip6, 3}, {s4, udp, 9}, {s4, 1, 1}} {
		_, status := h.get(c.s, c.level, c.code)
		want(t, fmt.Sprintf("get %d/%d", c.level, c.code), status, unsupported)
	}
	for _, code := range []uint32{
		0, 0x12345678, wsk.SIO_WSK_REGISTER_EXTENSION, wsk.SIO_CPU_AFFINITY, wsk.SIO_TIMESTAMPING,
		wsk.SIO_QUERY_RSS_SCALABILITY_INFO, wsk.SIO_WSK_SET_TCP_SILENT_MODE,
	} {
		want(t, fmt.Sprintf("ioctl %#x", code), h.ioctl(s4, code, nil), unsupported)
	}
	for _, code := range []uint32{
		wsk.SIO_WSK_QUERY_IDEAL_SEND_BACKLOG, wsk.SIO_WSK_QUERY_RECEIVE_BACKLOG, wsk.SIO_WSK_QUERY_INSPECT_ID,
	} {
		want(t, fmt.Sprintf("ioctl %#x of connections", code), h.ioctl(s4, code, nil), wsk.STATUS_INVALID_DEVICE_REQUEST)
	}
	for _, code := range []uint32{wsk.SIO_UDP_CONNRESET, wsk.SIO_UDP_NETRESET} { // they are off, and can't be on
		want(t, "resets off", h.ioctl(s4, code, le32(0)), wsk.STATUS_SUCCESS)
		want(t, "resets on", h.ioctl(s4, code, le32(1)), unsupported)
		want(t, "resets, short", h.ioctl(s4, code, nil), invalid)
	}
	irp := newCall(t)
	want(t, "WskControlMax", irp.end("ControlSocket", s4.ControlSocket(wsk.WskControlMax, 0, 0, nil, nil, nil, &irp.IRP)), invalid)
	irp = newCall(t)
	irp.Cancel()
	want(t, "cancelled", irp.end("ControlSocket", s4.ControlSocket(wsk.WskSetOption, wsk.IP_TTL, ip, le32(9), nil, nil, &irp.IRP)),
		wsk.STATUS_CANCELLED)
}

// Checklist item 53; SO_REUSEADDR and SO_EXCLUSIVEADDRUSE exclude each other.
func TestOptionsBeforeBind(t *testing.T) {
	h := newHost(t)
	s := h.socket(wsk.AF_INET6)
	want(t, "REUSE", h.set(s, sol, wsk.SO_REUSEADDR, 1), wsk.STATUS_SUCCESS)
	want(t, "EXCLUSIVE with REUSE", h.set(s, sol, wsk.SO_EXCLUSIVEADDRUSE, 1), wsk.STATUS_INVALID_PARAMETER)
	want(t, "EXCLUSIVE off with REUSE", h.set(s, sol, wsk.SO_EXCLUSIVEADDRUSE, 0), wsk.STATUS_SUCCESS)
	want(t, "Bind", h.bind(s, "[::]:0"), wsk.STATUS_SUCCESS)
	for _, o := range []option{{sol, wsk.SO_REUSEADDR, 0}, {sol, wsk.SO_EXCLUSIVEADDRUSE, 0}, dualStack} {
		want(t, fmt.Sprint(o, " after bind"), h.set(s, o.level, o.code, o.value), wsk.STATUS_INVALID_DEVICE_STATE)
	}
	v, status := h.get(s, sol, wsk.SO_REUSEADDR)
	want(t, "get after bind", status, wsk.STATUS_SUCCESS)
	if v != 1 {
		t.Errorf("SO_REUSEADDR %d", v)
	}
	// And any number of times at any time:
	for _, o := range []option{{sol, wsk.SO_BROADCAST, 1}, {ip6, wsk.IPV6_UNICAST_HOPS, 3}, {udp, wsk.UDP_SEND_MSG_SIZE, 3}} {
		want(t, fmt.Sprint(o, " after bind"), h.set(s, o.level, o.code, o.value), wsk.STATUS_SUCCESS)
	}
}

// Checklist item 52: the IRP, required for SOL_SOCKET and the fixed addresses; item 55: OutputSizeReturned and Level.
func TestControlSocketIRPRules(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	size := uintptr(99)
	out := make([]byte, 8)
	want(t, "set SOL_SOCKET without an IRP", s.ControlSocket(wsk.WskSetOption, wsk.SO_BROADCAST, sol, le32(1), nil, &size, nil),
		wsk.STATUS_INVALID_PARAMETER)
	want(t, "get SOL_SOCKET without an IRP", s.ControlSocket(wsk.WskGetOption, wsk.SO_BROADCAST, sol, nil, out, &size, nil),
		wsk.STATUS_INVALID_PARAMETER)
	if v, _ := h.get(s, sol, wsk.SO_BROADCAST); v != 0 || size != 99 {
		t.Error("the refused call had an effect")
	}
	want(t, "set IP_TTL without an IRP", s.ControlSocket(wsk.WskSetOption, wsk.IP_TTL, ip, le32(7), nil, nil, nil), wsk.STATUS_SUCCESS)
	want(t, "get IP_TTL without an IRP", s.ControlSocket(wsk.WskGetOption, wsk.IP_TTL, ip, nil, out, &size, nil), wsk.STATUS_SUCCESS)
	if size != 4 || out[0] != 7 || out[4] != 0 {
		t.Errorf("IP_TTL: %v, size %d", out, size)
	}
	want(t, "failure without an IRP", s.ControlSocket(wsk.WskGetOption, 0x7777, ip, nil, out, &size, nil), wsk.STATUS_NOT_SUPPORTED)
	if size != 0 {
		t.Errorf("size %d after a failure", size)
	}
	size = 99
	irp := newCall(t)
	want(t, "get with an IRP", irp.end("get", s.ControlSocket(wsk.WskGetOption, wsk.IP_TTL, ip, nil, out, &size, &irp.IRP)), wsk.STATUS_SUCCESS)
	if size != 99 || irp.IoStatus.Information != 4 {
		t.Errorf("OutputSizeReturned %d with an IRP, Information %d", size, irp.IoStatus.Information)
	}
	irp = newCall(t)
	want(t, "ioctl with a level", irp.end("ioctl", s.ControlSocket(wsk.WskIoctl, wsk.SIO_WSK_SET_SENDTO_ADDRESS, sol,
		addr("192.0.2.1:9"), nil, &size, &irp.IRP)), wsk.STATUS_SUCCESS)
}

// The one-byte IP_MULTICAST_TTL of Songcast, and that input is read during the call.
func TestControlSocketInput(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	value := []byte{4}
	want(t, "one byte", h.setBytes(s, ip, wsk.IP_MULTICAST_TTL, value), wsk.STATUS_SUCCESS)
	value[0] = 9
	if v, _ := h.get(s, ip, wsk.IP_MULTICAST_TTL); v != 4 {
		t.Errorf("IP_MULTICAST_TTL %d", v)
	}
	want(t, "one byte elsewhere", h.setBytes(s, ip, wsk.IP_TTL, value), wsk.STATUS_INVALID_PARAMETER)
	want(t, "one byte on IPv6's level", h.setBytes(h.socket(23), ip6, wsk.IPV6_MULTICAST_HOPS, value), wsk.STATUS_INVALID_PARAMETER)
	fixed := addr("192.0.2.1:9")
	want(t, "fixed", h.ioctl(s, wsk.SIO_WSK_SET_REMOTE_ADDRESS, fixed), wsk.STATUS_SUCCESS)
	clear(fixed)
	want(t, "SendTo", h.send(s, "x", "", nil), wsk.STATUS_SUCCESS)
}

// Checklist items 37 and 54, what reaches the transport: each option shows in the destinations that it concerns and in
// no other.
func TestOptionsReachDestination(t *testing.T) {
	h := newHost(t)
	h.transport.SetLocal(netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.11"))
	s := h.bound("[::]:1000", dualStack)
	for _, o := range []option{
		{ip, wsk.IP_TTL, 11}, {ip, wsk.IP_MULTICAST_TTL, 12}, {ip, wsk.IP_TOS, 13}, {ip, wsk.IP_DONTFRAGMENT, 1},
		{ip, wsk.IP_UNICAST_IF, 0x15000000}, {ip, wsk.IP_MULTICAST_IF, 0x16000000},
		{ip6, wsk.IPV6_UNICAST_HOPS, 31}, {ip6, wsk.IPV6_MULTICAST_HOPS, 32}, {ip6, wsk.IPV6_TCLASS, 33},
		{ip6, wsk.IPV6_UNICAST_IF, 0x35}, {ip6, wsk.IPV6_MULTICAST_IF, 0x36}, {ip6, wsk.IPV6_MTU_DISCOVER, 3},
		{udp, wsk.UDP_NOCHECKSUM, 1},
	} {
		want(t, fmt.Sprint(o), h.set(s, o.level, o.code, o.value), wsk.STATUS_SUCCESS)
	}
	for _, c := range []struct {
		remote string
		want   wsk.Destination
	}{
		{"[::ffff:192.0.2.1]:9", wsk.Destination{TTL: 11, TOS: 13, IfIndex: 0x15, Fragment: wsk.IP_PMTUDISC_DO, Flags: wsk.NoChecksum}},
		{"[::ffff:239.1.2.3]:9", wsk.Destination{TTL: 12, TOS: 13, IfIndex: 0x16, Fragment: wsk.IP_PMTUDISC_DO, Flags: wsk.NoChecksum}},
		{"[2001:db8::1]:9", wsk.Destination{TTL: 31, TOS: 33, IfIndex: 0x35, Fragment: wsk.IP_PMTUDISC_PROBE}},
		{"[ff02::1]:9", wsk.Destination{TTL: 32, TOS: 33, IfIndex: 0x36, Fragment: wsk.IP_PMTUDISC_PROBE}},
		{"[ff02::1%5]:9", wsk.Destination{TTL: 32, TOS: 33, IfIndex: 5, Fragment: wsk.IP_PMTUDISC_PROBE}},
	} {
		want(t, "SendTo", h.send(s, "x", c.remote, nil), wsk.STATUS_SUCCESS)
		c.want.Addr = netip.MustParseAddrPort(c.remote).Addr().WithZone("").As16()
		c.want.Port = 9
		if got := h.last().To; got != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", c.remote, got, c.want)
		}
	}
	// IP_MTU_DISCOVER has precedence over IP_DONTFRAGMENT.
	want(t, "MTU_DISCOVER", h.set(s, ip, wsk.IP_MTU_DISCOVER, uint32(wsk.IP_PMTUDISC_DONT)), wsk.STATUS_SUCCESS)
	h.send(s, "x", "[::ffff:192.0.2.1]:9", nil)
	if got := h.last().To.Fragment; got != wsk.IP_PMTUDISC_DONT {
		t.Errorf("fragment policy %d", got)
	}
	// IP_MULTICAST_IF by address: the second local address is on interface 2 of the fake.
	want(t, "MULTICAST_IF by address", h.setBytes(s, ip, wsk.IP_MULTICAST_IF, []byte{192, 0, 2, 11}), wsk.STATUS_SUCCESS)
	if v, _ := h.get(s, ip, wsk.IP_MULTICAST_IF); v != 2 {
		t.Errorf("IP_MULTICAST_IF %d", v)
	}
	want(t, "MULTICAST_IF by a foreign address", h.setBytes(s, ip, wsk.IP_MULTICAST_IF, []byte{192, 0, 2, 12}), wsk.STATUS_INVALID_ADDRESS_COMPONENT)
}

// IP_MTU (73) and IPV6_MTU (72) need a fixed address.
func TestPathMTU(t *testing.T) {
	h := newHost(t)
	s := h.bound("[::]:1000", dualStack)
	_, status := h.get(s, ip6, wsk.IPV6_MTU)
	want(t, "without a fixed address", status, wsk.STATUS_INVALID_CONNECTION)
	want(t, "fixed", h.ioctl(s, wsk.SIO_WSK_SET_REMOTE_ADDRESS, addr("[2001:db8::1]:9")), wsk.STATUS_SUCCESS)
	h.transport.SetMTU(1420)
	v, status := h.get(s, ip6, wsk.IPV6_MTU)
	want(t, "IPV6_MTU", status, wsk.STATUS_SUCCESS)
	if v != 1420 {
		t.Errorf("IPV6_MTU %d", v)
	}
	_, status = h.get(s, ip, wsk.IP_MTU)
	want(t, "IP_MTU of an IPv6 address", status, wsk.STATUS_INVALID_CONNECTION)
	h.transport.SetMTU(0)
	_, status = h.get(s, ip6, wsk.IPV6_MTU)
	want(t, "no route", status, wsk.STATUS_NETWORK_UNREACHABLE)
}
