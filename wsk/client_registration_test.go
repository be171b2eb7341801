// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// Checklist item 5: registrations pair up, and several work side by side.
func TestRegistrations(t *testing.T) {
	ss := new(wsk.Subsystem)
	want(t, "Attach", ss.Attach(wsktest.New(), wsk.ProviderOptions{}), wsk.STATUS_SUCCESS)
	var a, b wsk.Registration
	want(t, "Register a", ss.Register(clientNPI(1, 0), &a), wsk.STATUS_SUCCESS)
	want(t, "Register a again", ss.Register(clientNPI(1, 0), &a), wsk.STATUS_ALREADY_REGISTERED)
	want(t, "Register b", ss.Register(clientNPI(1, 0), &b), wsk.STATUS_SUCCESS)
	for _, reg := range []*wsk.Registration{&a, &b} {
		h := &host{t: t, transport: nil}
		want(t, "Capture", wsk.CaptureProviderNPI(reg, wsk.WSK_NO_WAIT, &h.npi), wsk.STATUS_SUCCESS)
		s := h.socket(wsk.AF_INET)
		want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
		wsk.ReleaseProviderNPI(reg)
	}
	wsk.Deregister(&a)
	want(t, "Register a after Deregister", ss.Register(clientNPI(1, 0), &a), wsk.STATUS_SUCCESS)
	wsk.Deregister(&a)
	wsk.Deregister(&b)

	want(t, "nil npi", ss.Register(nil, &a), wsk.STATUS_INVALID_PARAMETER)
	want(t, "nil dispatch", ss.Register(&wsk.ClientNPI{}, &a), wsk.STATUS_INVALID_PARAMETER)
	want(t, "nil registration", ss.Register(clientNPI(1, 0), nil), wsk.STATUS_INVALID_PARAMETER)
	reserved := clientNPI(1, 0)
	reserved.Dispatch.Reserved = 1
	want(t, "reserved", ss.Register(reserved, &a), wsk.STATUS_INVALID_PARAMETER)
}

func TestRegistrationMisusePanics(t *testing.T) {
	h := newHost(t)
	wsk.ReleaseProviderNPI(&h.reg)
	for name, f := range map[string]func(){
		"ReleaseProviderNPI without a capture":         func() { wsk.ReleaseProviderNPI(&h.reg) },
		"ReleaseProviderNPI without a capture, fresh":  func() { wsk.ReleaseProviderNPI(new(wsk.Registration)) },
		"Deregister of a block that is not registered": func() { wsk.Deregister(new(wsk.Registration)) },
		"Deregister of a block that is not registered, twice": func() {
			wsk.Deregister(&h.reg)
			wsk.Deregister(&h.reg)
		},
	} {
		name, _, _ = strings.Cut(name, ",")
		if text := mustPanic(t, f); text != "wsk: "+name {
			t.Errorf("panic %q, want %q", text, name)
		}
	}
}

// The package functions work on the default subsystem.
func TestDefaultSubsystem(t *testing.T) {
	var reg wsk.Registration
	want(t, "Register", wsk.Register(clientNPI(1, 0), &reg), wsk.STATUS_SUCCESS)
	want(t, "Attach", wsk.Default().Attach(wsktest.New(), wsk.ProviderOptions{}), wsk.STATUS_SUCCESS)
	want(t, "Attach again", wsk.Default().Attach(wsktest.New(), wsk.ProviderOptions{}), wsk.STATUS_ALREADY_REGISTERED)
	var npi wsk.ProviderNPI
	want(t, "Capture", wsk.CaptureProviderNPI(&reg, wsk.WSK_NO_WAIT, &npi), wsk.STATUS_SUCCESS)
	wsk.Default().Detach()
	h := &host{t: t, npi: npi}
	_, status := h.trySocket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET)
	want(t, "Socket of a detached provider", status, wsk.STATUS_DEVICE_NOT_READY)
	wsk.ReleaseProviderNPI(&reg)
	wsk.Deregister(&reg)
	want(t, "Attach nil", wsk.Default().Attach(nil, wsk.ProviderOptions{}), wsk.STATUS_INVALID_PARAMETER)
}

// Checklist item 6: no wait, timed wait and infinite wait, on a fake clock.
func TestCaptureWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ss := new(wsk.Subsystem)
		var reg wsk.Registration
		var npi wsk.ProviderNPI
		want(t, "Register", ss.Register(clientNPI(1, 0), &reg), wsk.STATUS_SUCCESS)
		start := time.Now()
		want(t, "no wait", wsk.CaptureProviderNPI(&reg, wsk.WSK_NO_WAIT, &npi), wsk.STATUS_DEVICE_NOT_READY)
		if d := time.Since(start); d != 0 {
			t.Errorf("WSK_NO_WAIT waited %v", d)
		}
		want(t, "timed", wsk.CaptureProviderNPI(&reg, 1500, &npi), wsk.STATUS_DEVICE_NOT_READY)
		if d := time.Since(start); d != 1500*time.Millisecond {
			t.Errorf("a wait of 1500 ms took %v", d)
		}
		go func() {
			time.Sleep(24 * time.Hour)
			ss.Attach(wsktest.New(), wsk.ProviderOptions{})
		}()
		timed := make(chan wsk.NTSTATUS, 1)
		go func() {
			var npi wsk.ProviderNPI
			timed <- wsk.CaptureProviderNPI(&reg, 25*3600*1000, &npi)
		}()
		want(t, "infinite", wsk.CaptureProviderNPI(&reg, wsk.WSK_INFINITE_WAIT, &npi), wsk.STATUS_SUCCESS)
		if d := time.Since(start); d != 24*time.Hour+1500*time.Millisecond {
			t.Errorf("woken after %v", d)
		}
		want(t, "timed, with arrival in time", <-timed, wsk.STATUS_SUCCESS)
		wsk.ReleaseProviderNPI(&reg)
		wsk.ReleaseProviderNPI(&reg)
		wsk.Deregister(&reg)
	})
}

// Checklist item 7.
func TestCaptureVersion(t *testing.T) {
	ss := new(wsk.Subsystem)
	var reg wsk.Registration
	var npi wsk.ProviderNPI
	var c wsk.ProviderCharacteristics
	want(t, "Register 9.0", ss.Register(clientNPI(9, 0), &reg), wsk.STATUS_SUCCESS)
	want(t, "Query, nothing attached", wsk.QueryProviderCharacteristics(&reg, &c), wsk.STATUS_DEVICE_NOT_READY)
	want(t, "Attach", ss.Attach(wsktest.New(), wsk.ProviderOptions{}), wsk.STATUS_SUCCESS)
	want(t, "Capture 9.0", wsk.CaptureProviderNPI(&reg, wsk.WSK_INFINITE_WAIT, &npi), wsk.STATUS_NOINTERFACE)
	want(t, "Query", wsk.QueryProviderCharacteristics(&reg, &c), wsk.STATUS_SUCCESS)
	if c.HighestVersion != 0x100 || c.LowestVersion != 0x100 {
		t.Errorf("characteristics %+v, want 1.0 to 1.0", c)
	}
	want(t, "Query nil", wsk.QueryProviderCharacteristics(&reg, nil), wsk.STATUS_INVALID_PARAMETER)
	want(t, "Capture nil", wsk.CaptureProviderNPI(&reg, 0, nil), wsk.STATUS_INVALID_PARAMETER)
	wsk.Deregister(&reg)
	for _, v := range []uint8{0} {
		want(t, "Register 0.x", ss.Register(clientNPI(v, 5), &reg), wsk.STATUS_SUCCESS)
		want(t, "Capture 0.x", wsk.CaptureProviderNPI(&reg, 0, &npi), wsk.STATUS_NOINTERFACE)
		wsk.Deregister(&reg)
	}
	want(t, "Register 1.0", ss.Register(clientNPI(1, 0), &reg), wsk.STATUS_SUCCESS)
	for range 3 {
		want(t, "Capture 1.0", wsk.CaptureProviderNPI(&reg, 0, &npi), wsk.STATUS_SUCCESS)
	}
	if npi.Dispatch.Version != 0x100 {
		t.Errorf("dispatch version 0x%x", npi.Dispatch.Version)
	}
	for range 3 {
		wsk.ReleaseProviderNPI(&reg)
	}
	wsk.Deregister(&reg)
}

// Checklist item 8: what Deregister waits for, (a) to (d): for each it is shown that Deregister waits, and that it
// then goes on.
func TestDeregisterBlocks(t *testing.T) {
	for _, c := range []struct {
		name  string
		begin func(t *testing.T, h *host) (end func())
	}{
		{"unreleased-capture", func(t *testing.T, h *host) func() {
			return func() { wsk.ReleaseProviderNPI(&h.reg) }
		}},
		{"one-of-two-captures", func(t *testing.T, h *host) func() {
			want(t, "Capture", wsk.CaptureProviderNPI(&h.reg, 0, &h.npi), wsk.STATUS_SUCCESS)
			wsk.ReleaseProviderNPI(&h.reg)
			return func() { wsk.ReleaseProviderNPI(&h.reg) }
		}},
		{"open-socket", func(t *testing.T, h *host) func() {
			s := h.socket(wsk.AF_INET)
			wsk.ReleaseProviderNPI(&h.reg)
			return func() { want(t, "Close", h.close(s), wsk.STATUS_SUCCESS) }
		}},
		{"socket-closing-with-a-pending-send", func(t *testing.T, h *host) func() {
			s := h.bound("0.0.0.0:1000")
			h.transport.SetMode(wsktest.Post)
			send, end := newCall(t), newCall(t)
			want(t, "SendTo", s.SendTo(text("x"), 0, addr("192.0.2.1:9"), nil, &send.IRP), wsk.STATUS_PENDING)
			want(t, "Close", s.Close(&end.IRP), wsk.STATUS_PENDING)
			wsk.ReleaseProviderNPI(&h.reg)
			return func() { h.transport.CompleteAll(wsk.STATUS_SUCCESS) }
		}},
		{"close-routine-running", func(t *testing.T, h *host) func() {
			s := h.socket(wsk.AF_INET)
			gate := make(chan struct{})
			irp := wsk.AllocateIRP()
			irp.SetCompletionRoutine(func(*wsk.IRP, any) wsk.NTSTATUS {
				<-gate
				return wsk.STATUS_MORE_PROCESSING_REQUIRED
			}, nil, true, true, true)
			go s.Close(irp)
			synctest.Wait()
			wsk.ReleaseProviderNPI(&h.reg)
			return func() { close(gate) }
		}},
		{"provider-call-in-progress", func(t *testing.T, h *host) func() {
			gate := make(chan struct{})
			irp := wsk.AllocateIRP()
			irp.SetCompletionRoutine(func(*wsk.IRP, any) wsk.NTSTATUS {
				<-gate
				return wsk.STATUS_MORE_PROCESSING_REQUIRED
			}, nil, true, true, true)
			go h.npi.Socket(0, 0, 0, 0, nil, nil, nil, nil, nil, irp)
			synctest.Wait()
			wsk.ReleaseProviderNPI(&h.reg)
			return func() { close(gate) }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				end := c.begin(t, h)
				done := make(chan struct{})
				go func() {
					wsk.Deregister(&h.reg)
					close(done)
				}()
				synctest.Wait()
				select {
				case <-done:
					t.Fatal("Deregister did not wait")
				default:
				}
				var npi wsk.ProviderNPI
				want(t, "Capture while deregistering", wsk.CaptureProviderNPI(&h.reg, wsk.WSK_INFINITE_WAIT, &npi),
					wsk.STATUS_DEVICE_NOT_READY)
				end()
				<-done
				want(t, "Capture after Deregister", wsk.CaptureProviderNPI(&h.reg, wsk.WSK_INFINITE_WAIT, &npi),
					wsk.STATUS_DEVICE_NOT_READY)
				var ch wsk.ProviderCharacteristics
				want(t, "Query after Deregister", wsk.QueryProviderCharacteristics(&h.reg, &ch), wsk.STATUS_DEVICE_NOT_READY)
			})
		})
	}
}

// Checklist item 8 (e): waiting captures wake up.
func TestDeregisterWakesCaptures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ss := new(wsk.Subsystem)
		var reg wsk.Registration
		want(t, "Register", ss.Register(clientNPI(1, 0), &reg), wsk.STATUS_SUCCESS)
		statuses := make(chan wsk.NTSTATUS, 2)
		for _, wait := range []uint32{wsk.WSK_INFINITE_WAIT, 3600_000} {
			go func() {
				var npi wsk.ProviderNPI
				statuses <- wsk.CaptureProviderNPI(&reg, wait, &npi)
			}()
		}
		synctest.Wait()
		start := time.Now()
		wsk.Deregister(&reg)
		for range 2 {
			want(t, "waiting capture", <-statuses, wsk.STATUS_DEVICE_NOT_READY)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("woken after %v", d)
		}
	})
}

// A block is in use until Deregister returns. A capture that was made with it is released for the client that it was
// made for.
func TestRegisterDuringDeregister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		done := make(chan struct{})
		go func() {
			wsk.Deregister(&h.reg)
			close(done)
		}()
		synctest.Wait() // for ReleaseProviderNPI
		ss := new(wsk.Subsystem)
		want(t, "Register during Deregister", ss.Register(clientNPI(1, 0), &h.reg), wsk.STATUS_ALREADY_REGISTERED)
		wsk.ReleaseProviderNPI(&h.reg)
		<-done
		want(t, "Register", ss.Register(clientNPI(1, 0), &h.reg), wsk.STATUS_SUCCESS)
		wsk.Deregister(&h.reg)
	})
}

// brokenTransport fails with a status that the provider uses itself.
type brokenTransport struct{ *wsktest.Transport }

func (brokenTransport) OpenEndpoint(uint16, wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	return nil, wsk.STATUS_INVALID_HANDLE
}

// Whatever status a transport fails with, the call of WskSocket is over then, and Deregister does not wait for it.
func TestSocketFailsAsTransportSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ss, h := new(wsk.Subsystem), &host{t: t}
		want(t, "Attach", ss.Attach(brokenTransport{wsktest.New()}, wsk.ProviderOptions{}), wsk.STATUS_SUCCESS)
		want(t, "Register", ss.Register(clientNPI(1, 0), &h.reg), wsk.STATUS_SUCCESS)
		want(t, "Capture", wsk.CaptureProviderNPI(&h.reg, wsk.WSK_NO_WAIT, &h.npi), wsk.STATUS_SUCCESS)
		_, status := h.trySocket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET)
		want(t, "Socket", status, wsk.STATUS_INVALID_HANDLE)
		wsk.ReleaseProviderNPI(&h.reg)
		wsk.Deregister(&h.reg)
	})
}

// Checklist item 9.
func TestSocketSurvivesRelease(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	wsk.ReleaseProviderNPI(&h.reg)
	want(t, "SendTo", h.send(s, "still here", "192.0.2.1:9", nil), wsk.STATUS_SUCCESS)
	_, status := h.trySocket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET)
	want(t, "Socket after release", status, wsk.STATUS_INVALID_HANDLE)
	want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
	wsk.Deregister(&h.reg)
}
