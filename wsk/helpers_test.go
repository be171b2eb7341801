// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// host is a client that has captured a provider over an in-memory transport.
type host struct {
	t         testing.TB
	transport *wsktest.Transport
	reg       wsk.Registration
	npi       wsk.ProviderNPI
}

func newHost(t testing.TB) *host {
	t.Helper()
	return newHostWith(t, wsk.ProviderOptions{})
}

func newHostWith(t testing.TB, options wsk.ProviderOptions) *host {
	t.Helper()
	h := &host{t: t, transport: wsktest.New()}
	ss := new(wsk.Subsystem)
	want(t, "Attach", ss.Attach(h.transport, options), wsk.STATUS_SUCCESS)
	want(t, "Register", ss.Register(clientNPI(1, 0), &h.reg), wsk.STATUS_SUCCESS)
	want(t, "Capture", wsk.CaptureProviderNPI(&h.reg, wsk.WSK_NO_WAIT, &h.npi), wsk.STATUS_SUCCESS)
	return h
}

func clientNPI(major, minor uint8) *wsk.ClientNPI {
	return &wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(major, minor)}}
}

// want compares a status.
func want(t testing.TB, what string, got, want wsk.NTSTATUS) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// call is an IRP whose completion is checked against the rules in docs/wsk-mapping.md.
type call struct {
	wsk.IRP
	t         testing.TB
	completed atomic.Int32
	done      chan struct{}
	later     func() // called by the routine first
}

func newCall(t testing.TB) *call {
	c := &call{t: t, done: make(chan struct{})}
	c.IoStatus.Status, c.IoStatus.Information = 0xDEAD, 0xDEAD
	c.SetCompletionRoutine(c.routine, nil, true, true, true)
	return c
}

func (c *call) routine(irp *wsk.IRP, _ any) wsk.NTSTATUS {
	if c.later != nil {
		c.later()
	}
	if irp != &c.IRP {
		c.t.Error("routine called with another IRP")
	}
	if irp.IoStatus.Status == 0xDEAD || irp.IoStatus.Information == 0xDEAD {
		c.t.Error("routine called before IoStatus was set")
	}
	if st := irp.IoStatus; !st.Status.Success() && st.Status != wsk.STATUS_BUFFER_OVERFLOW && st.Information != 0 {
		c.t.Errorf("%v with Information %d", irp.IoStatus.Status, irp.IoStatus.Information)
	}
	if n := c.completed.Add(1); n == 1 {
		close(c.done)
	} else {
		c.t.Errorf("completed %d times", n)
	}
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// inRoutine has f called in the completion routine.
func (c *call) inRoutine(f func()) { c.later = f }

// end waits for the completion and checks it against what the call returned.
func (c *call) end(what string, returned wsk.NTSTATUS) wsk.NTSTATUS {
	c.t.Helper()
	if returned != wsk.STATUS_PENDING {
		if c.completed.Load() != 1 {
			c.t.Fatalf("%s returned %v without having completed its IRP", what, returned)
		}
		if c.IoStatus.Status != returned {
			c.t.Errorf("%s returned %v but completed with %v", what, returned, c.IoStatus.Status)
		}
	}
	select {
	case <-c.done:
	case <-time.After(time.Minute):
		c.t.Fatalf("%s: IRP never completed", what)
	}
	if c.PendingReturned != (returned == wsk.STATUS_PENDING) {
		c.t.Errorf("%s returned %v with PendingReturned %v", what, returned, c.PendingReturned)
	}
	return c.IoStatus.Status
}

func (h *host) trySocket(family, socketType uint16, protocol, flags uint32) (*wsk.Socket, wsk.NTSTATUS) {
	h.t.Helper()
	c := newCall(h.t)
	status := c.end("Socket", h.npi.Socket(family, socketType, protocol, flags, nil, nil, nil, nil, nil, &c.IRP))
	return c.IoStatus.Socket, status
}

func (h *host) socket(family uint16) *wsk.Socket {
	h.t.Helper()
	s, status := h.trySocket(family, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET)
	want(h.t, "Socket", status, wsk.STATUS_SUCCESS)
	if s == nil {
		h.t.Fatal("no socket")
	}
	return s
}

// bound is a socket that is bound to the address, with the options of setup set before the bind.
func (h *host) bound(local string, setup ...option) *wsk.Socket {
	h.t.Helper()
	ap := netip.MustParseAddrPort(local)
	family := uint16(wsk.AF_INET6)
	if ap.Addr().Is4() {
		family = wsk.AF_INET
	}
	s := h.socket(family)
	for _, o := range setup {
		want(h.t, "set before bind", h.set(s, o.level, o.code, o.value), wsk.STATUS_SUCCESS)
	}
	want(h.t, "Bind", h.bind(s, local), wsk.STATUS_SUCCESS)
	return s
}

type option struct{ level, code, value uint32 }

var dualStack = option{wsk.IPPROTO_IPV6, wsk.IPV6_V6ONLY, 0}

func (h *host) bind(s *wsk.Socket, local string) wsk.NTSTATUS {
	h.t.Helper()
	c := newCall(h.t)
	return c.end("Bind", s.Bind(addr(local), 0, &c.IRP))
}

func (h *host) close(s *wsk.Socket) wsk.NTSTATUS {
	h.t.Helper()
	c := newCall(h.t)
	return c.end("Close", s.Close(&c.IRP))
}

// set sets an option of four bytes.
func (h *host) set(s *wsk.Socket, level, code, value uint32) wsk.NTSTATUS {
	h.t.Helper()
	return h.setBytes(s, level, code, le32(value))
}

func (h *host) setBytes(s *wsk.Socket, level, code uint32, value []byte) wsk.NTSTATUS {
	h.t.Helper()
	c := newCall(h.t)
	return c.end("ControlSocket set", s.ControlSocket(wsk.WskSetOption, code, level, value, nil, nil, &c.IRP))
}

func (h *host) get(s *wsk.Socket, level, code uint32) (uint32, wsk.NTSTATUS) {
	h.t.Helper()
	c := newCall(h.t)
	out := make([]byte, 4)
	status := c.end("ControlSocket get", s.ControlSocket(wsk.WskGetOption, code, level, nil, out, nil, &c.IRP))
	if status == wsk.STATUS_SUCCESS && c.IoStatus.Information != 4 {
		h.t.Errorf("get %d/%d: Information %d, want 4", level, code, c.IoStatus.Information)
	}
	return uint32(out[0]) | uint32(out[1])<<8 | uint32(out[2])<<16 | uint32(out[3])<<24, status
}

func (h *host) ioctl(s *wsk.Socket, code uint32, input []byte) wsk.NTSTATUS {
	h.t.Helper()
	c := newCall(h.t)
	return c.end("ControlSocket ioctl", s.ControlSocket(wsk.WskIoctl, code, 0, input, nil, nil, &c.IRP))
}

// send sends and waits for the end.
func (h *host) send(s *wsk.Socket, payload, remote string, control []byte) wsk.NTSTATUS {
	h.t.Helper()
	c := newCall(h.t)
	status := c.end("SendTo", s.SendTo(text(payload), 0, addr(remote), control, &c.IRP))
	if status == wsk.STATUS_SUCCESS && c.IoStatus.Information != uintptr(len(payload)) {
		h.t.Errorf("SendTo: Information %d, want %d", c.IoStatus.Information, len(payload))
	}
	return status
}

// last is the datagram that left last.
func (h *host) last() wsktest.Datagram {
	h.t.Helper()
	d := h.transport.Datagrams()
	if len(d) == 0 {
		h.t.Fatal("nothing was sent")
	}
	return d[len(d)-1]
}

// addr is nil for "".
func addr(s string) wsk.SOCKADDR {
	if s == "" {
		return nil
	}
	return wsk.NewSockaddr(netip.MustParseAddrPort(s))
}

func text(s string) *wsk.Buf {
	return &wsk.Buf{Mdl: wsk.AllocateMDL([]byte(s)), Length: uintptr(len(s))}
}

func le32(v uint32) []byte { return []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)} }

// mustPanic returns what f panicked with.
func mustPanic(t testing.TB, f func()) (text string) {
	t.Helper()
	defer func() {
		t.Helper()
		r := recover()
		if r == nil {
			t.Error("no panic")
			return
		}
		text, _ = r.(string)
	}()
	f()
	return ""
}
