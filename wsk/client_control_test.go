// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// client calls WskControlClient without an IRP.
func (h *host) client(code uint32, input, output []byte) (uintptr, wsk.NTSTATUS) {
	h.t.Helper()
	size := uintptr(99)
	status := h.npi.ControlClient(code, input, output, &size, nil)
	return size, status
}

// Checklist item 10: asking for the size first, as wireguard-nt does it.
func TestTransportListQuery(t *testing.T) {
	ss := new(wsk.Subsystem)
	h := &host{t: t, transport: wsktest.New()}
	want(t, "Attach", ss.Attach(h.transport, wsk.ProviderOptions{}), wsk.STATUS_SUCCESS)
	want(t, "Register", ss.Register(clientNPI(1, 0), &h.reg), wsk.STATUS_SUCCESS)
	want(t, "Capture", wsk.CaptureProviderNPI(&h.reg, 0, &h.npi), wsk.STATUS_SUCCESS)
	out := bytes.Repeat([]byte{0xEE}, 16*wsk.SizeofTransport)
	for size := range 2 * wsk.SizeofTransport {
		if n, status := h.client(wsk.WSK_TRANSPORT_LIST_QUERY, nil, out[:size]); n != 56 || status != wsk.STATUS_BUFFER_OVERFLOW {
			t.Errorf("into %d bytes: %v, %d", size, status, n)
		}
	}
	for _, size := range []int{56, 57, len(out)} {
		if n, status := h.client(wsk.WSK_TRANSPORT_LIST_QUERY, nil, out[:size]); n != 56 || status != wsk.STATUS_SUCCESS {
			t.Errorf("into %d bytes: %v, %d", size, status, n)
		}
	}
	if out[56] != 0xEE {
		t.Error("written behind the end")
	}
	const guid = "5a6c8e5b0e1f564c9d3c6d2b0e7a41c7"
	if got := hex.EncodeToString(out[:56]); got != "00010200110000000200"+"0000"+guid+"00010200110000001700"+"0000"+guid {
		t.Errorf("list %s", got)
	}
	list, ok := wsk.ParseTransports(out[:56])
	if !ok || len(list) != 2 || list[1].AddressFamily != wsk.AF_INET6 || list[0].Protocol != wsk.IPPROTO_UDP ||
		!bytes.Equal(list[1].Append(list[0].Append(nil)), out[:56]) {
		t.Errorf("parsed %+v", list)
	}
	if _, ok := wsk.ParseTransports(out[:55]); ok {
		t.Error("parsed 55 bytes")
	}
	want(t, "no OutputSizeReturned", h.npi.ControlClient(wsk.WSK_TRANSPORT_LIST_QUERY, nil, out, nil, nil), wsk.STATUS_INVALID_PARAMETER)
	ss.Detach()
	if n, status := h.client(wsk.WSK_TRANSPORT_LIST_QUERY, nil, nil); n != 0 || status != wsk.STATUS_SUCCESS {
		t.Errorf("detached: %v, %d", status, n)
	}
}

// Checklist item 8 (f): the IRP of a list change is pending until a provider comes or goes, and is cancelled
// by Cancel and Deregister.
func TestTransportListChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ss := new(wsk.Subsystem)
		h := &host{t: t, transport: wsktest.New()}
		want(t, "Attach", ss.Attach(h.transport, wsk.ProviderOptions{}), wsk.STATUS_SUCCESS)
		want(t, "Register", ss.Register(clientNPI(1, 0), &h.reg), wsk.STATUS_SUCCESS)
		want(t, "Capture", wsk.CaptureProviderNPI(&h.reg, 0, &h.npi), wsk.STATUS_SUCCESS)
		change := func() *call {
			c := newCall(t)
			want(t, "CHANGE", h.npi.ControlClient(wsk.WSK_TRANSPORT_LIST_CHANGE, nil, nil, nil, &c.IRP), wsk.STATUS_PENDING)
			return c
		}
		end := func(c *call, status wsk.NTSTATUS) {
			t.Helper()
			want(t, "CHANGE", c.end("CHANGE", wsk.STATUS_PENDING), status)
		}
		a, b := change(), change()
		if !a.Cancel() {
			t.Error("Cancel: false")
		}
		end(a, wsk.STATUS_CANCELLED)
		ss.Detach()
		end(b, wsk.STATUS_SUCCESS)
		c := change() // one-shot: the next change needs another
		want(t, "Attach", ss.Attach(h.transport, wsk.ProviderOptions{}), wsk.STATUS_SUCCESS)
		end(c, wsk.STATUS_SUCCESS)

		before := newCall(t)
		before.Cancel()
		want(t, "cancelled before", before.end("CHANGE", h.npi.ControlClient(wsk.WSK_TRANSPORT_LIST_CHANGE, nil, nil, nil, &before.IRP)),
			wsk.STATUS_CANCELLED)
		d, e := change(), change()
		wsk.ReleaseProviderNPI(&h.reg)
		wsk.Deregister(&h.reg)
		end(d, wsk.STATUS_CANCELLED)
		end(e, wsk.STATUS_CANCELLED)
	})
}

// Deregister leaves another registration's pending change alone, and a change that is asked for while deregistering
// does not wait.
func TestTransportListChangeOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ss := new(wsk.Subsystem)
		want(t, "Attach", ss.Attach(wsktest.New(), wsk.ProviderOptions{}), wsk.STATUS_SUCCESS)
		var a, b host
		for _, h := range []*host{&a, &b} {
			want(t, "Register", ss.Register(clientNPI(1, 0), &h.reg), wsk.STATUS_SUCCESS)
			want(t, "Capture", wsk.CaptureProviderNPI(&h.reg, 0, &h.npi), wsk.STATUS_SUCCESS)
		}
		c := newCall(t)
		want(t, "CHANGE", a.npi.ControlClient(wsk.WSK_TRANSPORT_LIST_CHANGE, nil, nil, nil, &c.IRP), wsk.STATUS_PENDING)
		go wsk.Deregister(&b.reg)
		synctest.Wait()
		late := newCall(t)
		want(t, "CHANGE while deregistering", late.end("CHANGE",
			b.npi.ControlClient(wsk.WSK_TRANSPORT_LIST_CHANGE, nil, nil, nil, &late.IRP)), wsk.STATUS_CANCELLED)
		wsk.ReleaseProviderNPI(&b.reg)
		synctest.Wait()
		if c.completed.Load() != 0 {
			t.Error("the other registration's IRP has completed")
		}
		ss.Detach()
		want(t, "CHANGE", c.end("CHANGE", wsk.STATUS_PENDING), wsk.STATUS_SUCCESS)
		wsk.ReleaseProviderNPI(&a.reg)
		wsk.Deregister(&a.reg)
	})
}

// Which codes take an IRP, and which are not supported. Never a false success.
func TestControlClientCodes(t *testing.T) {
	h := newHost(t)
	for _, c := range []struct {
		code              uint32
		without, with     wsk.NTSTATUS
		cancelledBeforeIt bool
	}{
		{wsk.WSK_TRANSPORT_LIST_QUERY, wsk.STATUS_BUFFER_OVERFLOW, wsk.STATUS_INVALID_PARAMETER, false},
		{wsk.WSK_TRANSPORT_LIST_CHANGE, wsk.STATUS_INVALID_PARAMETER, wsk.STATUS_CANCELLED, true},
		{wsk.WSK_CACHE_SD, wsk.STATUS_INVALID_PARAMETER, wsk.STATUS_INVALID_PARAMETER, false},
		{wsk.WSK_RELEASE_SD, wsk.STATUS_INVALID_PARAMETER, wsk.STATUS_INVALID_PARAMETER, false},
		{wsk.WSK_TDI_DEVICENAME_MAPPING, wsk.STATUS_NOT_SUPPORTED, wsk.STATUS_INVALID_PARAMETER, false},
		{wsk.WSK_SET_STATIC_EVENT_CALLBACKS, wsk.STATUS_INVALID_PARAMETER, wsk.STATUS_INVALID_PARAMETER, false},
		{wsk.WSK_TDI_BEHAVIOR, wsk.STATUS_INVALID_PARAMETER, wsk.STATUS_INVALID_PARAMETER, false},
		{0, wsk.STATUS_NOT_SUPPORTED, wsk.STATUS_NOT_SUPPORTED, false},
		{99, wsk.STATUS_NOT_SUPPORTED, wsk.STATUS_NOT_SUPPORTED, false},
	} {
		_, status := h.client(c.code, nil, nil)
		want(t, fmt.Sprint(c.code, " without an IRP"), status, c.without)
		irp := newCall(t)
		if c.cancelledBeforeIt {
			irp.Cancel()
		}
		want(t, fmt.Sprint(c.code, " with an IRP"), irp.end("ControlClient", h.npi.ControlClient(c.code, nil, nil, nil, &irp.IRP)), c.with)
	}
	irp := newCall(t)
	nobody := wsk.ProviderNPI{Dispatch: h.npi.Dispatch}
	want(t, "nil client", irp.end("ControlClient", nobody.ControlClient(2, nil, nil, nil, &irp.IRP)), wsk.STATUS_INVALID_HANDLE)
	want(t, "nil client without an IRP", nobody.ControlClient(2, nil, nil, nil, nil), wsk.STATUS_INVALID_HANDLE)
	wsk.ReleaseProviderNPI(&h.reg)
	wsk.Deregister(&h.reg) // no call was left counted
}

// Checklist items 11 and 12: what has to come before the first socket; TDI.
func TestControlClientBeforeSockets(t *testing.T) {
	h := newHost(t)
	static := func(mask uint32) wsk.NTSTATUS {
		_, status := h.client(wsk.WSK_SET_STATIC_EVENT_CALLBACKS, wsk.NewEventCallbackControl(mask), nil)
		return status
	}
	tdi := func(value uint32) wsk.NTSTATUS {
		_, status := h.client(wsk.WSK_TDI_BEHAVIOR, le32(value), nil)
		return status
	}
	want(t, "static", static(wsk.WSK_EVENT_RECEIVE_FROM), wsk.STATUS_SUCCESS)
	want(t, "static, of several categories", static(wsk.WSK_EVENT_RECEIVE_FROM|wsk.WSK_EVENT_ACCEPT|wsk.WSK_EVENT_DISCONNECT), wsk.STATUS_SUCCESS)
	want(t, "static off", static(wsk.WSK_EVENT_RECEIVE_FROM|wsk.WSK_EVENT_DISABLE), wsk.STATUS_INVALID_PARAMETER)
	want(t, "static nothing", static(0), wsk.STATUS_INVALID_PARAMETER)
	want(t, "static unknown", static(1), wsk.STATUS_INVALID_PARAMETER)
	want(t, "bypass TDI", tdi(wsk.WSK_TDI_BEHAVIOR_BYPASS_TDI), wsk.STATUS_SUCCESS)
	want(t, "TDI 0", tdi(0), wsk.STATUS_SUCCESS)
	want(t, "TDI unknown", tdi(2), wsk.STATUS_INVALID_PARAMETER)
	basic, _ := h.trySocket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_BASIC_SOCKET)
	want(t, "Close", h.close(basic), wsk.STATUS_SUCCESS)
	want(t, "static after a socket", static(wsk.WSK_EVENT_RECEIVE_FROM), wsk.STATUS_INVALID_DEVICE_STATE)
	want(t, "TDI after a socket", tdi(1), wsk.STATUS_INVALID_DEVICE_STATE)
}

// WskSocketConnect refuses, and the IRP completes.
func TestSocketConnect(t *testing.T) {
	h := newHost(t)
	connect := func(npi *wsk.ProviderNPI, irp *wsk.IRP) wsk.NTSTATUS {
		return npi.SocketConnect(wsk.SOCK_STREAM, wsk.IPPROTO_TCP, addr("0.0.0.0:0"), addr(peer), 0, nil, nil, nil, nil, nil, irp)
	}
	irp := newCall(t)
	want(t, "SocketConnect", irp.end("SocketConnect", connect(&h.npi, &irp.IRP)), wsk.STATUS_NOT_SUPPORTED)
	want(t, "nil IRP", connect(&h.npi, nil), wsk.STATUS_INVALID_PARAMETER)
	irp = newCall(t)
	want(t, "nil client", irp.end("SocketConnect", connect(&wsk.ProviderNPI{}, &irp.IRP)), wsk.STATUS_INVALID_HANDLE)
	irp = newCall(t)
	irp.Cancel()
	want(t, "cancelled", irp.end("SocketConnect", connect(&h.npi, &irp.IRP)), wsk.STATUS_CANCELLED)
	wsk.ReleaseProviderNPI(&h.reg)
	wsk.Deregister(&h.reg)
}
