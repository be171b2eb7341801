// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// receive is a WskReceiveFrom with everything that it can be asked for.
type receive struct {
	*call
	returned      wsk.NTSTATUS
	data          []byte
	from          wsk.SOCKADDR
	control       []byte
	controlLength uint32
	flags         uint32
}

// receive passes a receive for up to size bytes.
func (h *host) receive(s *wsk.Socket, size int) *receive {
	h.t.Helper()
	r := &receive{
		call: newCall(h.t), data: make([]byte, size), from: make(wsk.SOCKADDR, wsk.SizeofSockaddrIn6),
		control: make([]byte, 512), controlLength: 512, flags: 0xDEAD,
	}
	r.returned = s.ReceiveFrom(&wsk.Buf{Mdl: wsk.AllocateMDL(r.data), Length: uintptr(size)}, 0, r.from,
		&r.controlLength, r.control, &r.flags, &r.IRP)
	return r
}

// pending fails the test if the receive has completed.
func (r *receive) pending() {
	r.t.Helper()
	if r.completed.Load() != 0 || r.returned != wsk.STATUS_PENDING {
		r.t.Fatalf("the receive has completed: %v", r.IoStatus.Status)
	}
}

func (r *receive) wait() wsk.NTSTATUS {
	r.t.Helper()
	return r.end("ReceiveFrom", r.returned)
}

// payload waits and gives what was received.
func (r *receive) payload() string {
	r.t.Helper()
	want(r.t, "ReceiveFrom", r.wait(), wsk.STATUS_SUCCESS)
	return string(r.data[:r.IoStatus.Information])
}

// objects are the control data received.
func (r *receive) objects() []wsk.CMsg {
	return objects(r.t, r.control[:r.controlLength])
}

func objects(t testing.TB, control []byte) (list []wsk.CMsg) {
	t.Helper()
	it := wsk.CMsgs(control)
	for m, ok := it.Next(); ok; m, ok = it.Next() {
		list = append(list, m)
	}
	want(t, "control data", it.Status(), wsk.STATUS_SUCCESS)
	return list
}

// from is an arrival at port 1000 of the documentation addresses.
func from(sender, payload string) wsktest.Arrival {
	a := wsktest.Arrival{From: netip.MustParseAddrPort(sender), Payload: []byte(payload), IfIndex: 3, TTL: 61, TOS: 0xb9}
	a.To = netip.MustParseAddrPort("192.0.2.10:1000")
	if a.From.Addr().Is6() {
		a.To = netip.MustParseAddrPort("[2001:db8::10]:1000")
	}
	return a
}

const peer = "198.51.100.7:9"

var (
	plainAddr = netip.MustParseAddrPort("192.0.2.10:1001")
	groupAddr = netip.MustParseAddrPort("239.1.2.3:1000")
)

// setStatic switches the event callback on for every socket to come.
func (h *host) setStatic() {
	h.t.Helper()
	mask := uint32(wsk.WSK_EVENT_RECEIVE_FROM | wsk.WSK_EVENT_ACCEPT) // of several categories
	want(h.t, "WSK_SET_STATIC_EVENT_CALLBACKS", h.npi.ControlClient(wsk.WSK_SET_STATIC_EVENT_CALLBACKS,
		wsk.NewEventCallbackControl(mask), nil, nil, nil), wsk.STATUS_SUCCESS)
}

// arrive delivers payloads from the usual peer, one by one.
func (h *host) arrive(payloads ...string) {
	h.t.Helper()
	for _, p := range payloads {
		if h.transport.Arrive(from(peer, p)) != 1 {
			h.t.Fatalf("%q found no socket", p)
		}
	}
}

// nothingLent checks that every datagram was given back.
func (h *host) nothingLent() {
	h.t.Helper()
	if c := h.transport.Counts(); c.Lent != 0 {
		h.t.Errorf("%d of %d datagrams were not given back", c.Lent, c.Arrived)
	}
}

// enable switches the event callback on.
func (h *host) enable(s *wsk.Socket) wsk.NTSTATUS {
	h.t.Helper()
	return s.ControlSocket(wsk.WskSetOption, wsk.SO_WSK_EVENT_CALLBACK, wsk.SOL_SOCKET,
		wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM), nil, nil, nil)
}

// disable switches it off, with an IRP or without.
func (h *host) disable(s *wsk.Socket, irp *wsk.IRP) wsk.NTSTATUS {
	h.t.Helper()
	return s.ControlSocket(wsk.WskSetOption, wsk.SO_WSK_EVENT_CALLBACK, wsk.SOL_SOCKET,
		wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM|wsk.WSK_EVENT_DISABLE), nil, nil, irp)
}

// eventSocket is a bound socket whose callback is f, not enabled yet.
func (h *host) eventSocket(local string, f func(flags uint32, list *wsk.DatagramIndication) wsk.NTSTATUS) *wsk.Socket {
	h.t.Helper()
	s := h.eventSocketUnbound(local, f)
	want(h.t, "Bind", h.bind(s, local), wsk.STATUS_SUCCESS)
	return s
}

func (h *host) eventSocketUnbound(local string, f func(flags uint32, list *wsk.DatagramIndication) wsk.NTSTATUS) *wsk.Socket {
	h.t.Helper()
	family := uint16(wsk.AF_INET6)
	if netip.MustParseAddrPort(local).Addr().Is4() {
		family = wsk.AF_INET
	}
	dispatch := &wsk.ClientDatagramDispatch{
		ReceiveFromEvent: func(context any, flags uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
			if context != h {
				h.t.Error("the callback got another context")
			}
			return f(flags, list)
		},
	}
	c := newCall(h.t)
	want(h.t, "Socket", c.end("Socket", h.npi.Socket(family, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, h,
		dispatch, nil, nil, nil, &c.IRP)), wsk.STATUS_SUCCESS)
	return c.IoStatus.Socket
}

// flat is the payload of a buffer.
func flat(b *wsk.Buf) string {
	var out []byte
	for c := b.Cursor(0); ; {
		piece := c.Next(1 << 20)
		if len(piece) == 0 {
			return string(out)
		}
		out = append(out, piece...)
	}
}

// texts are the payloads of a list.
func texts(list *wsk.DatagramIndication) (out []string) {
	for n := list; n != nil; n = n.Next {
		out = append(out, flat(&n.Buffer))
	}
	return out
}
