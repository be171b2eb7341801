// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// control is an I/O control without an IRP.
func (h *host) control(s *wsk.Socket, code uint32, input, output []byte) (uintptr, wsk.NTSTATUS) {
	h.t.Helper()
	size := uintptr(99)
	status := s.ControlSocket(wsk.WskIoctl, code, 0, input, output, &size, nil)
	return size, status
}

// Checklist item 56: SIO_ADDRESS_LIST_QUERY, without an IRP and with one, and with too little room.
func TestAddressListQuery(t *testing.T) {
	h := newHost(t)
	h.transport.SetLocal(addrs("192.0.2.10", "2001:db8::10", "192.0.2.11", "fe80::1%3")...)
	for _, c := range []struct {
		s    *wsk.Socket
		size int
		want []string
	}{
		{h.socket(wsk.AF_INET), 8 + 2*(16+16), []string{"192.0.2.10:0", "192.0.2.11:0"}},
		{h.bound("[::]:1000"), 8 + 2*(16+28), []string{"[2001:db8::10]:0", "[fe80::1%3]:0"}},
	} {
		for _, room := range []int{0, 4, 8, c.size - 1} {
			if n, status := h.control(c.s, wsk.SIO_ADDRESS_LIST_QUERY, nil, make([]byte, room)); n != uintptr(c.size) || status != wsk.STATUS_BUFFER_OVERFLOW {
				t.Errorf("into %d bytes: %v, %d; want %d", room, status, n, c.size)
			}
		}
		out := make([]byte, c.size+8)
		n, status := h.control(c.s, wsk.SIO_ADDRESS_LIST_QUERY, nil, out)
		want(t, "QUERY", status, wsk.STATUS_SUCCESS)
		list, ok := wsk.ParseAddressList(out[:n])
		if got := fmt.Sprint(list); !ok || got != fmt.Sprint(c.want) {
			t.Errorf("%v, want %v", got, c.want)
		}
		irp := newCall(t)
		want(t, "QUERY with an IRP", irp.end("QUERY", c.s.ControlSocket(wsk.WskIoctl, wsk.SIO_ADDRESS_LIST_QUERY, 0, nil, out, nil, &irp.IRP)),
			wsk.STATUS_SUCCESS)
		if irp.IoStatus.Information != n {
			t.Errorf("Information %d, want %d", irp.IoStatus.Information, n)
		}
	}
}

// Checklist item 56: SIO_ADDRESS_LIST_CHANGE: pending until the list of the socket's family changes, cancelled by
// Cancel and close.
func TestAddressListChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.transport.SetLocal(addrs("192.0.2.10", "2001:db8::10")...)
		s4, s6 := h.socket(wsk.AF_INET), h.socket(wsk.AF_INET6)
		change := func(s *wsk.Socket) *call {
			t.Helper()
			c := newCall(t)
			want(t, "CHANGE", s.ControlSocket(wsk.WskIoctl, wsk.SIO_ADDRESS_LIST_CHANGE, 0, nil, nil, nil, &c.IRP), wsk.STATUS_PENDING)
			return c
		}
		end := func(c *call, status wsk.NTSTATUS) {
			t.Helper()
			want(t, "CHANGE", c.end("CHANGE", wsk.STATUS_PENDING), status)
		}
		a, b, c := change(s4), change(s4), change(s6)
		if !b.Cancel() {
			t.Error("Cancel: false")
		}
		end(b, wsk.STATUS_CANCELLED)
		h.transport.SetLocal(addrs("2001:db8::10", "192.0.2.10")...) // the same ones
		if a.completed.Load() != 0 {
			t.Error("completed without a change")
		}
		h.transport.SetLocal(addrs("192.0.2.10", "192.0.2.11", "2001:db8::10")...)
		end(a, wsk.STATUS_SUCCESS)
		if c.completed.Load() != 0 {
			t.Error("completed by a change of the other family")
		}
		d := change(s6)
		want(t, "Close", h.close(s6), wsk.STATUS_SUCCESS)
		end(c, wsk.STATUS_CANCELLED)
		end(d, wsk.STATUS_CANCELLED)
		want(t, "without an IRP", s4.ControlSocket(wsk.WskIoctl, wsk.SIO_ADDRESS_LIST_CHANGE, 0, nil, nil, nil, nil), wsk.STATUS_INVALID_PARAMETER)
		before := newCall(t)
		before.Cancel()
		want(t, "cancelled before", before.end("CHANGE", s4.ControlSocket(wsk.WskIoctl, wsk.SIO_ADDRESS_LIST_CHANGE, 0, nil, nil, nil, &before.IRP)),
			wsk.STATUS_CANCELLED)
		datagram := h.bound("0.0.0.0:1000")
		e := change(datagram)
		h.transport.Kill()
		end(e, wsk.STATUS_FILE_FORCED_CLOSED)
	})
}

// SIO_ADDRESS_LIST_SORT by the rules of RFC 6724, with the examples of that RFC as far as a socket can be asked for
// them.
func TestAddressListSort(t *testing.T) {
	for _, c := range []struct {
		name       string
		local      []netip.Addr
		list, want []string
	}{
		{"rule-1-unusable-last", addrs("192.0.2.10"), []string{"[2001:db8::1]:9", "[::ffff:198.51.100.1]:9"},
			[]string{"[::ffff:198.51.100.1]:9", "[2001:db8::1]:9"}},
		{"rule-6-native-first", addrs("192.0.2.10", "2001:db8::10"), []string{"[::ffff:198.51.100.1]:9", "[2001:db8:1::1]:9"},
			[]string{"[2001:db8:1::1]:9", "[::ffff:198.51.100.1]:9"}},
		{"rule-5-label", addrs("2002:c633:6401::2", "192.0.2.10"), []string{"[2001:db8:1::1]:9", "[2002:c633:6401::1]:9"},
			[]string{"[2002:c633:6401::1]:9", "[2001:db8:1::1]:9"}},
		{"rule-6-ula-last", addrs("2001:db8::10"), []string{"[fd00::1]:9", "[2001:db8:1::1]:9"},
			[]string{"[2001:db8:1::1]:9", "[fd00::1]:9"}},
		{"rule-8-smaller-scope", addrs("2001:db8::10", "fe80::10"), []string{"[2001:db8:1::1]:9", "[fe80::1%3]:9"},
			[]string{"[fe80::1%3]:9", "[2001:db8:1::1]:9"}},
		{"rule-9-longest-prefix", addrs("2001:db8:1::10"), []string{"[2001:db8:3ffe::1]:9", "[2001:db8:1::1]:9"},
			[]string{"[2001:db8:1::1]:9", "[2001:db8:3ffe::1]:9"}},
		{"rule-10-stable", addrs("192.0.2.10"), []string{"[2001:db8::2]:9", "[2001:db8::1]:8"}, []string{"[2001:db8::2]:9", "[2001:db8::1]:8"}},
		{"none", nil, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			h.transport.SetLocal(c.local...)
			s := h.socket(wsk.AF_INET6)
			var list []wsk.SOCKADDR
			for _, a := range c.list {
				list = append(list, addr(a))
			}
			input := wsk.AppendAddressList(nil, list)
			out := make([]byte, len(input))
			n, status := h.control(s, wsk.SIO_ADDRESS_LIST_SORT, input, out)
			want(t, "SORT", status, wsk.STATUS_SUCCESS)
			sorted, ok := wsk.ParseAddressList(out[:n])
			var got []string
			for _, sa := range sorted {
				got = append(got, sa.String())
			}
			if !ok || !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	h := newHost(t)
	s := h.socket(wsk.AF_INET6)
	one := wsk.AppendAddressList(nil, []wsk.SOCKADDR{addr("[2001:db8::1]:9")})
	if n, status := h.control(s, wsk.SIO_ADDRESS_LIST_SORT, one, one[:20]); n != 52 || status != wsk.STATUS_BUFFER_OVERFLOW {
		t.Errorf("too little room: %v, %d", status, n)
	}
	for name, input := range map[string][]byte{
		"empty": nil, "short": one[:7], "cut-off": one[:30], "other-family": wsk.AppendAddressList(nil, []wsk.SOCKADDR{addr(peer)}),
		"short-address": wsk.AppendAddressList(nil, []wsk.SOCKADDR{addr("[2001:db8::1]:9")[:20]}),
	} {
		_, status := h.control(s, wsk.SIO_ADDRESS_LIST_SORT, input, make([]byte, 100))
		want(t, name, status, wsk.STATUS_INVALID_PARAMETER)
	}
}

func TestRoutingInterfaceQuery(t *testing.T) {
	h := newHost(t)
	h.transport.SetLocal(addrs("192.0.2.10", "fe80::10%3")...)
	s4, s6 := h.socket(wsk.AF_INET), h.socket(wsk.AF_INET6)
	out := make(wsk.SOCKADDR, 28)
	n, status := h.control(s4, wsk.SIO_ROUTING_INTERFACE_QUERY, addr(peer), out)
	want(t, "QUERY", status, wsk.STATUS_SUCCESS)
	if n != 16 || out.String() != "192.0.2.10:0" {
		t.Errorf("%d bytes: %v", n, out)
	}
	n, status = h.control(s6, wsk.SIO_ROUTING_INTERFACE_QUERY, addr("[fe80::1%3]:9"), out)
	want(t, "QUERY", status, wsk.STATUS_SUCCESS)
	if n != 28 || out.String() != "[fe80::10%3]:0" {
		t.Errorf("%d bytes: %v", n, out)
	}
	_, status = h.control(s6, wsk.SIO_ROUTING_INTERFACE_QUERY, addr("[2001:db8::1]:9"), out)
	want(t, "no route", status, wsk.STATUS_NETWORK_UNREACHABLE)
	_, status = h.control(s6, wsk.SIO_ROUTING_INTERFACE_QUERY, addr(peer), out)
	want(t, "other family", status, wsk.STATUS_INVALID_PARAMETER)
	_, status = h.control(s6, wsk.SIO_ROUTING_INTERFACE_QUERY, addr("[fe80::1%3]:9"), out[:27])
	want(t, "no room", status, wsk.STATUS_BUFFER_TOO_SMALL)
}

// With a transport that neither receives nor knows addresses everything that needs that is an error, and nothing a
// false success.
func TestSendOnlyTransport(t *testing.T) {
	h := &host{t: t}
	ss := new(wsk.Subsystem)
	want(t, "Attach", ss.Attach(sendOnly{}, wsk.ProviderOptions{}), wsk.STATUS_SUCCESS)
	want(t, "Register", ss.Register(clientNPI(1, 0), &h.reg), wsk.STATUS_SUCCESS)
	want(t, "Capture", wsk.CaptureProviderNPI(&h.reg, 0, &h.npi), wsk.STATUS_SUCCESS)
	s := h.eventSocket("0.0.0.0:1000", func(uint32, *wsk.DatagramIndication) wsk.NTSTATUS { return wsk.STATUS_SUCCESS })
	const unsupported = wsk.STATUS_NOT_SUPPORTED
	want(t, "ReceiveFrom", h.receive(s, 8).wait(), unsupported)
	want(t, "enable", h.enable(s), unsupported)
	want(t, "RECVERR", h.set(s, ip, wsk.IP_RECVERR, 1), unsupported)
	want(t, "coalescing", h.set(s, udp, wsk.UDP_RECV_MAX_COALESCED_SIZE, 1), unsupported)
	want(t, "loop off", h.set(s, ip, wsk.IP_MULTICAST_LOOP, 0), unsupported)
	want(t, "join", h.setBytes(s, ip, wsk.IP_ADD_MEMBERSHIP, []byte{239, 1, 2, 3, 0, 0, 0, 0}), unsupported)
	for _, code := range []uint32{
		wsk.SIO_ADDRESS_LIST_QUERY, wsk.SIO_ADDRESS_LIST_CHANGE, wsk.SIO_ADDRESS_LIST_SORT, wsk.SIO_ROUTING_INTERFACE_QUERY,
	} {
		want(t, fmt.Sprintf("ioctl %#x", code), h.ioctl(s, code, nil), unsupported)
	}
	want(t, "SO_RCVBUF, which is ours", h.set(s, sol, wsk.SO_RCVBUF, 5), wsk.STATUS_SUCCESS)
	want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
}

// sendOnly is a minimal transport.
type sendOnly struct{}

func (sendOnly) OpenEndpoint(uint16, wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	return sendOnly{}, wsk.STATUS_SUCCESS
}
func (sendOnly) Bind(req wsk.BindRequest, done func(netip.AddrPort, wsk.NTSTATUS)) {
	done(req.Local, wsk.STATUS_SUCCESS)
}
func (sendOnly) Send(op *wsk.SendOp)                      { op.Complete(wsk.STATUS_SUCCESS) }
func (sendOnly) MTU(*wsk.Destination) (int, wsk.NTSTATUS) { return 1500, wsk.STATUS_SUCCESS }
func (sendOnly) Abort()                                   {}
func (sendOnly) Close(done func())                        { done() }
