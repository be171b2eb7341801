// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Checklist item 22.
func TestSocketCombinations(t *testing.T) {
	h := newHost(t)
	for _, c := range []struct {
		family, typ uint16
		proto       uint32
		flags       uint32
		want        wsk.NTSTATUS
	}{
		{2, 2, 17, 4, wsk.STATUS_SUCCESS},
		{23, 2, 17, 4, wsk.STATUS_SUCCESS},
		{2, 2, 17, 0, wsk.STATUS_SUCCESS},
		{23, 2, 17, 0, wsk.STATUS_SUCCESS},
		{2, 2, 17, 1, wsk.STATUS_SUCCESS}, // a listening UDP socket: made, and fails at bind
		{2, 2, 17, 2, wsk.STATUS_NOT_SUPPORTED},
		{2, 2, 17, 8, wsk.STATUS_NOT_SUPPORTED},
		{2, 2, 17, 3, wsk.STATUS_INVALID_PARAMETER},
		{2, 2, 17, 5, wsk.STATUS_INVALID_PARAMETER},
		{2, 2, 17, 16, wsk.STATUS_INVALID_PARAMETER},
		{2, 2, 17, 0x80000004, wsk.STATUS_INVALID_PARAMETER},
		{0, 2, 17, 4, wsk.STATUS_PROTOCOL_NOT_SUPPORTED},
		{10, 2, 17, 4, wsk.STATUS_PROTOCOL_NOT_SUPPORTED},
		{2, 0, 17, 4, wsk.STATUS_PROTOCOL_NOT_SUPPORTED},
		{2, 1, 6, 0, wsk.STATUS_PROTOCOL_NOT_SUPPORTED},
		{2, 1, 17, 4, wsk.STATUS_PROTOCOL_NOT_SUPPORTED},
		{2, 2, 6, 4, wsk.STATUS_PROTOCOL_NOT_SUPPORTED},
		{2, 2, 0, 4, wsk.STATUS_PROTOCOL_NOT_SUPPORTED},
		{2, 2, 17 + 256, 4, wsk.STATUS_PROTOCOL_NOT_SUPPORTED},
		{2, 3, 17, 4, wsk.STATUS_PROTOCOL_NOT_SUPPORTED}, // SOCK_RAW
		{2, 3, 4, 4, wsk.STATUS_PROTOCOL_NOT_SUPPORTED},
		{2, 3, 4, 5, wsk.STATUS_INVALID_PARAMETER},
	} {
		s, status := h.trySocket(c.family, c.typ, c.proto, c.flags)
		want(t, fmt.Sprintf("family %d type %d protocol %d flags 0x%x", c.family, c.typ, c.proto, c.flags), status, c.want)
		if (s != nil) != (status == wsk.STATUS_SUCCESS) {
			t.Errorf("%v with socket %p", status, s)
		}
		if s != nil {
			want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
		}
	}
	wsk.ReleaseProviderNPI(&h.reg)
	wsk.Deregister(&h.reg) // nothing was left behind
}

// Checklist items 21 and 22: parameters other than the transport.
func TestSocketParameters(t *testing.T) {
	h := newHost(t)
	socket := func(npi *wsk.ProviderNPI, flags uint32, context any, dispatch *wsk.ClientDatagramDispatch,
		sd *wsk.SecurityDescriptor, cancel bool,
	) wsk.NTSTATUS {
		c := newCall(t)
		if cancel {
			c.Cancel()
		}
		status := c.end("Socket", npi.Socket(2, 2, 17, flags, context, dispatch, new(wsk.EPROCESS), new(wsk.ETHREAD), sd, &c.IRP))
		if s := c.IoStatus.Socket; s != nil {
			want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
		}
		return status
	}
	dispatch := new(wsk.ClientDatagramDispatch)
	want(t, "nil IRP", h.npi.Socket(2, 2, 17, 4, nil, nil, nil, nil, nil, nil), wsk.STATUS_INVALID_PARAMETER)
	want(t, "nil client", socket(&wsk.ProviderNPI{Dispatch: h.npi.Dispatch}, 4, nil, nil, nil, false), wsk.STATUS_INVALID_HANDLE)
	want(t, "nil client and dispatch", socket(&wsk.ProviderNPI{}, 4, nil, nil, nil, false), wsk.STATUS_INVALID_HANDLE)
	want(t, "made-up dispatch", socket(&wsk.ProviderNPI{Client: h.npi.Client, Dispatch: &wsk.ProviderDispatch{}}, 4, nil, nil, nil, false),
		wsk.STATUS_INVALID_HANDLE)
	want(t, "cancelled", socket(&h.npi, 4, nil, nil, nil, true), wsk.STATUS_CANCELLED)
	want(t, "context and dispatch", socket(&h.npi, 4, t, dispatch, nil, false), wsk.STATUS_SUCCESS)
	want(t, "basic with context", socket(&h.npi, 0, t, nil, nil, false), wsk.STATUS_INVALID_PARAMETER)
	want(t, "basic with dispatch", socket(&h.npi, 0, nil, dispatch, nil, false), wsk.STATUS_INVALID_PARAMETER)
	want(t, "descriptor not cached", socket(&h.npi, 4, nil, nil, new(wsk.SecurityDescriptor), false), wsk.STATUS_INVALID_PARAMETER)
}

// Checklist item 22: a basic socket has two usable functions; a listening one fails at bind.
func TestOtherCategories(t *testing.T) {
	h := newHost(t)
	for _, c := range []struct {
		flags uint32
		bind  wsk.NTSTATUS
	}{
		{wsk.WSK_FLAG_BASIC_SOCKET, wsk.STATUS_INVALID_DEVICE_REQUEST},
		{wsk.WSK_FLAG_LISTEN_SOCKET, wsk.STATUS_NOT_IMPLEMENTED},
	} {
		s, _ := h.trySocket(wsk.AF_INET6, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, c.flags)
		want(t, "Bind", h.bind(s, "[::]:0"), c.bind)
		want(t, "SendTo", h.send(s, "x", "[::1]:9", nil), wsk.STATUS_INVALID_DEVICE_REQUEST)
		local := newCall(t)
		want(t, "GetLocalAddress", local.end("GetLocalAddress", s.GetLocalAddress(make([]byte, 28), &local.IRP)),
			wsk.STATUS_INVALID_DEVICE_REQUEST)
		want(t, "fixed address", h.ioctl(s, wsk.SIO_WSK_SET_SENDTO_ADDRESS, addr("[::1]:9")), wsk.STATUS_INVALID_DEVICE_REQUEST)
		// The probes of msquic.
		_, status := h.get(s, wsk.IPPROTO_UDP, wsk.UDP_SEND_MSG_SIZE)
		want(t, "probe UDP_SEND_MSG_SIZE", status, wsk.STATUS_SUCCESS)
		want(t, "probe IPV6_TCLASS", h.set(s, wsk.IPPROTO_IPV6, wsk.IPV6_TCLASS, 1), wsk.STATUS_SUCCESS)
		want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
	}
}

// Checklist item 23, the checks of the address that are made in this package, and item 21.
func TestBind(t *testing.T) {
	h := newHost(t)
	h.transport.SetLocal(netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10"))
	for _, c := range []struct {
		family uint16
		local  wsk.SOCKADDR
		setup  []option
		want   wsk.NTSTATUS
	}{
		{2, addr("0.0.0.0:7001"), nil, wsk.STATUS_SUCCESS},
		{2, addr("192.0.2.10:7002"), nil, wsk.STATUS_SUCCESS},
		{2, addr("192.0.2.11:7003"), nil, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{2, addr("[::]:7004"), nil, wsk.STATUS_INVALID_PARAMETER},
		{2, nil, nil, wsk.STATUS_INVALID_PARAMETER},
		{2, addr("0.0.0.0:7005")[:15], nil, wsk.STATUS_INVALID_PARAMETER},
		{2, addr("0.0.0.0:7001"), nil, wsk.STATUS_ADDRESS_ALREADY_EXISTS},
		{23, addr("[::]:7006"), nil, wsk.STATUS_SUCCESS},
		{23, addr("[2001:db8::10]:7007"), nil, wsk.STATUS_SUCCESS},
		{23, addr("0.0.0.0:7008"), nil, wsk.STATUS_INVALID_PARAMETER},
		{23, addr("[::]:7009")[:16], nil, wsk.STATUS_INVALID_PARAMETER},
		{23, addr("[::ffff:192.0.2.10]:7010"), nil, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{23, addr("[::ffff:192.0.2.10]:7011"), []option{dualStack}, wsk.STATUS_SUCCESS},
	} {
		s := h.socket(c.family)
		for _, o := range c.setup {
			want(t, "set", h.set(s, o.level, o.code, o.value), wsk.STATUS_SUCCESS)
		}
		irp := newCall(t)
		want(t, "Bind "+c.local.String(), irp.end("Bind", s.Bind(c.local, 0, &irp.IRP)), c.want)
		if c.want != wsk.STATUS_SUCCESS { // a failed bind leaves the socket as it was
			retry := map[uint16]string{2: "0.0.0.0:0", 23: "[::]:0"}[c.family]
			want(t, "Bind again after a failure", h.bind(s, retry), wsk.STATUS_SUCCESS)
		} else {
			want(t, "second Bind", h.bind(s, map[uint16]string{2: "0.0.0.0:0", 23: "[::]:0"}[c.family]), wsk.STATUS_INVALID_DEVICE_STATE)
		}
	}
	// The transport is told that a socket is dual-stack: its wildcard takes the IPv4 port too.
	want(t, "IPv4 port of a dual-stack socket", h.bind(h.socket(2), "192.0.2.10:7011"), wsk.STATUS_ADDRESS_ALREADY_EXISTS)
	h.bound("[::]:7012", dualStack)
	want(t, "IPv4 port under a dual-stack wildcard", h.bind(h.socket(2), "192.0.2.10:7012"), wsk.STATUS_ACCESS_DENIED)
	want(t, "IPv4 port beside an IPv6 wildcard", h.bind(h.socket(2), "192.0.2.10:7006"), wsk.STATUS_SUCCESS)
	s := h.socket(wsk.AF_INET)
	want(t, "nil IRP", s.Bind(addr("0.0.0.0:0"), 0, nil), wsk.STATUS_INVALID_PARAMETER)
	irp := newCall(t)
	want(t, "flags", irp.end("Bind", s.Bind(addr("0.0.0.0:0"), 1, &irp.IRP)), wsk.STATUS_INVALID_PARAMETER)
	irp = newCall(t)
	irp.Cancel()
	want(t, "cancelled", irp.end("Bind", s.Bind(addr("0.0.0.0:0"), 0, &irp.IRP)), wsk.STATUS_CANCELLED)
}

// Checklist item 26: the address is read during the call. And while the bind is pending the socket is neither bound
// nor free to be bound.
func TestBindCapturesAddress(t *testing.T) {
	h := newHost(t)
	h.transport.DelayBinds(true)
	s := h.socket(wsk.AF_INET)
	irp := newCall(t)
	local := addr("0.0.0.0:7001")
	status := s.Bind(local, 0, &irp.IRP)
	want(t, "Bind", status, wsk.STATUS_PENDING)
	clear(local)
	want(t, "Bind while binding", h.bind(s, "0.0.0.0:0"), wsk.STATUS_INVALID_DEVICE_STATE)
	want(t, "SendTo while binding", h.send(s, "x", "192.0.2.1:9", nil), wsk.STATUS_INVALID_DEVICE_STATE)
	want(t, "SO_REUSEADDR while binding", h.set(s, wsk.SOL_SOCKET, wsk.SO_REUSEADDR, 1), wsk.STATUS_INVALID_DEVICE_STATE)
	h.transport.DelayBinds(false)
	want(t, "Bind", irp.end("Bind", status), wsk.STATUS_SUCCESS)
	if got := h.localAddress(s, 16); got != "0.0.0.0:7001" {
		t.Errorf("bound to %s", got)
	}
}

func (h *host) localAddress(s *wsk.Socket, size int) string {
	h.t.Helper()
	out := make(wsk.SOCKADDR, size)
	irp := newCall(h.t)
	want(h.t, "GetLocalAddress", irp.end("GetLocalAddress", s.GetLocalAddress(out, &irp.IRP)), wsk.STATUS_SUCCESS)
	return out.String()
}

// Checklist items 23 (port 0) and 25.
func TestGetLocalAddress(t *testing.T) {
	h := newHost(t)
	s := h.socket(wsk.AF_INET)
	get := func(s *wsk.Socket, out wsk.SOCKADDR) wsk.NTSTATUS {
		irp := newCall(t)
		return irp.end("GetLocalAddress", s.GetLocalAddress(out, &irp.IRP))
	}
	want(t, "unbound", get(s, make([]byte, 16)), wsk.STATUS_INVALID_DEVICE_STATE)
	want(t, "nil IRP", s.GetLocalAddress(make([]byte, 16), nil), wsk.STATUS_INVALID_PARAMETER)
	want(t, "Bind", h.bind(s, "0.0.0.0:0"), wsk.STATUS_SUCCESS)
	ap := netip.MustParseAddrPort(h.localAddress(s, 128))
	if !ap.Addr().IsUnspecified() || !ap.Addr().Is4() || ap.Port() < 49152 {
		t.Errorf("wildcard bind gave %v", ap)
	}
	want(t, "nil out", get(s, nil), wsk.STATUS_INVALID_PARAMETER)
	want(t, "short out", get(s, make([]byte, 15)), wsk.STATUS_BUFFER_TOO_SMALL)

	s6 := h.bound("[fe80::1%3]:7000")
	want(t, "short out", get(s6, make([]byte, 27)), wsk.STATUS_BUFFER_TOO_SMALL)
	if got := h.localAddress(s6, 28); got != "[fe80::1%3]:7000" {
		t.Errorf("got %s", got)
	}
	mapped := h.bound("[::ffff:192.0.2.1]:7001", dualStack)
	if got := h.localAddress(mapped, 28); got != "[::ffff:192.0.2.1]:7001" {
		t.Errorf("got %s", got)
	}
}

// While a remote address is fixed, the source address of the route takes the place of the wildcard. msquic compares it
// with the packet information of what it receives.
//
// Checklist item 25.
func TestGetLocalAddressConnected(t *testing.T) {
	h := newHost(t)
	h.transport.SetLocal(netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::9"))
	remote := func(s *wsk.Socket, to string) {
		t.Helper()
		want(t, "SIO_WSK_SET_REMOTE_ADDRESS "+to, h.ioctl(s, wsk.SIO_WSK_SET_REMOTE_ADDRESS, addr(to)), wsk.STATUS_SUCCESS)
	}
	check := func(s *wsk.Socket, size int, expected string) {
		t.Helper()
		if got := h.localAddress(s, size); got != expected {
			t.Errorf("the local address is %s, want %s", got, expected)
		}
	}
	s4, dual, specific := h.bound("0.0.0.0:7000"), h.bound("[::]:7001", dualStack), h.bound("[2001:db8::9]:7002")
	remote(s4, "192.0.2.7:9")
	check(s4, 16, "192.0.2.1:7000")
	remote(s4, "")
	check(s4, 16, "0.0.0.0:7000")
	want(t, "SIO_WSK_SET_SENDTO_ADDRESS", h.ioctl(s4, wsk.SIO_WSK_SET_SENDTO_ADDRESS, addr("192.0.2.7:9")), wsk.STATUS_SUCCESS)
	check(s4, 16, "0.0.0.0:7000")
	remote(dual, "[::ffff:192.0.2.7]:9")
	check(dual, 28, "[::ffff:192.0.2.1]:7001")
	remote(dual, "[2001:db8::7]:9")
	check(dual, 28, "[2001:db8::1]:7001")
	remote(specific, "[2001:db8::7]:9")
	check(specific, 28, "[2001:db8::9]:7002")
	h.transport.SetLocal() // no route any more
	check(dual, 28, "[::]:7001")
}
