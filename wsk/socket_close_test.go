// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// Checklist item 70: what waits is cancelled, what is with the kernel completes as it would have, and the
// close completes after the last of them, with STATUS_SUCCESS and Information 0.
func TestCloseOrder(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	var mu sync.Mutex
	var order []string
	record := func(what string) wsk.CompletionRoutine {
		return func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, what+" "+irp.IoStatus.Status.String())
			return wsk.STATUS_MORE_PROCESSING_REQUIRED
		}
	}
	send := func(what string, mode wsktest.Mode) {
		h.transport.SetMode(mode)
		irp := wsk.AllocateIRP()
		irp.SetCompletionRoutine(record(what), nil, true, true, true)
		want(t, what, s.SendTo(text(what), 0, addr("192.0.2.1:9"), nil, irp), wsk.STATUS_PENDING)
	}
	send("posted-1", wsktest.Post)
	send("waiting-1", wsktest.Wait)
	send("posted-2", wsktest.Post)
	send("waiting-2", wsktest.Wait)
	irp := newCall(t)
	irp.SetCompletionRoutine(func(in *wsk.IRP, context any) wsk.NTSTATUS {
		record("close")(in, context)
		return irp.routine(in, context)
	}, nil, true, true, true)
	status := s.Close(&irp.IRP)
	want(t, "Close", status, wsk.STATUS_PENDING)
	if irp.completed.Load() != 0 {
		t.Fatal("closed with sends pending")
	}
	want(t, "Bind after Close", h.bind(s, "0.0.0.0:0"), wsk.STATUS_FILE_CLOSED)
	h.transport.Complete(0, wsk.STATUS_SUCCESS)
	if irp.completed.Load() != 0 {
		t.Fatal("closed with a send pending")
	}
	h.transport.Complete(0, wsk.STATUS_HOST_UNREACHABLE)
	want(t, "Close", irp.end("Close", status), wsk.STATUS_SUCCESS)
	wants := []string{"waiting-1 STATUS_CANCELLED", "waiting-2 STATUS_CANCELLED", "posted-1 STATUS_SUCCESS", "posted-2 STATUS_HOST_UNREACHABLE", "close STATUS_SUCCESS"}
	if !slices.Equal(order, wants) {
		t.Errorf("completed as %q", order)
	}
	if c := h.transport.Counts(); c.Closed != 1 || c.Pending != 0 || c.Sends != 4 || c.Completed != 4 {
		t.Errorf("%+v", c)
	}
	for _, d := range h.transport.Datagrams() {
		if string(d.Payload[:6]) != "posted" {
			t.Errorf("%q left", d.Payload)
		}
	}
}

// Checklist item 73: every function after close.
func TestUseAfterClose(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
	const closed = wsk.STATUS_FILE_CLOSED
	want(t, "Close", h.close(s), closed)
	want(t, "Bind", h.bind(s, "0.0.0.0:0"), closed)
	want(t, "SendTo", h.send(s, "x", "192.0.2.1:9", nil), closed)
	status, _ := h.sendList(s, list(text("x")), nil)
	want(t, "SendMessages", status, closed)
	irp := newCall(t)
	want(t, "GetLocalAddress", irp.end("GetLocalAddress", s.GetLocalAddress(make([]byte, 16), &irp.IRP)), closed)
	want(t, "set", h.set(s, sol, wsk.SO_BROADCAST, 1), closed)
	_, status = h.get(s, ip, wsk.IP_TTL)
	want(t, "get", status, closed)
	want(t, "ioctl", h.ioctl(s, wsk.SIO_WSK_SET_REMOTE_ADDRESS, nil), closed)
	// Checklist item 72, the port.
	want(t, "the port is free again", h.bind(h.socket(wsk.AF_INET), "0.0.0.0:1000"), wsk.STATUS_SUCCESS)
}

// Checklist item 38: a dead socket refuses everything but Close.
func TestDeadSocket(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	h.transport.SetMode(wsktest.Post)
	irp := newCall(t)
	status := s.SendTo(text("x"), 0, addr("192.0.2.1:9"), nil, &irp.IRP)
	h.transport.Kill()
	want(t, "pending send", irp.end("SendTo", status), wsk.STATUS_FILE_FORCED_CLOSED)
	const dead = wsk.STATUS_FILE_FORCED_CLOSED
	want(t, "SendTo", h.send(s, "x", "192.0.2.1:9", nil), dead)
	want(t, "Bind", h.bind(s, "0.0.0.0:0"), dead)
	want(t, "set", h.set(s, sol, wsk.SO_BROADCAST, 1), dead)
	want(t, "ioctl", h.ioctl(s, wsk.SIO_WSK_SET_REMOTE_ADDRESS, nil), dead)
	local := newCall(t)
	want(t, "GetLocalAddress", local.end("GetLocalAddress", s.GetLocalAddress(make([]byte, 16), &local.IRP)), dead)
	want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
	want(t, "SendTo", h.send(s, "x", "192.0.2.1:9", nil), wsk.STATUS_FILE_CLOSED)
	// A socket whose device goes while it is closing stays closed.
	h2 := newHost(t)
	s = h2.bound("0.0.0.0:1000")
	h2.transport.SetMode(wsktest.Post)
	irp, end := newCall(t), newCall(t)
	var during wsk.NTSTATUS
	irp.inRoutine(func() { during = h2.send(s, "x", "192.0.2.1:9", nil) })
	sending := s.SendTo(text("x"), 0, addr("192.0.2.1:9"), nil, &irp.IRP)
	closing := s.Close(&end.IRP)
	h2.transport.Kill()
	want(t, "pending send", irp.end("SendTo", sending), dead)
	want(t, "Close", end.end("Close", closing), wsk.STATUS_SUCCESS)
	want(t, "SendTo while closing, dead", during, wsk.STATUS_FILE_CLOSED)
	want(t, "a socket that is born dead", h.bind(h.socket(wsk.AF_INET), "0.0.0.0:0"), dead)
}

// An IRP that is cancelled already closes the socket all the same, and Close waits for a pending bind.
func TestCloseCornerCases(t *testing.T) {
	h := newHost(t)
	s := h.socket(wsk.AF_INET)
	irp := newCall(t)
	irp.Cancel()
	want(t, "Close with a cancelled IRP", irp.end("Close", s.Close(&irp.IRP)), wsk.STATUS_SUCCESS)

	s = h.socket(wsk.AF_INET)
	h.transport.DelayBinds(true)
	bind, end := newCall(t), newCall(t)
	bind.inRoutine(func() {
		if end.completed.Load() != 0 {
			t.Error("closed before the routine of the bind had returned")
		}
	})
	bindStatus := s.Bind(addr("0.0.0.0:0"), 0, &bind.IRP)
	status := s.Close(&end.IRP)
	if end.completed.Load() != 0 {
		t.Error("closed with a bind pending")
	}
	h.transport.DelayBinds(false)
	want(t, "Bind", bind.end("Bind", bindStatus), wsk.STATUS_SUCCESS)
	want(t, "Close", end.end("Close", status), wsk.STATUS_SUCCESS)
}

// Checklist items 18 and 71: from its completion routine a client may call everything on the same socket, and at last
// Close.
func TestCallsFromRoutine(t *testing.T) {
	for _, mode := range []wsktest.Mode{wsktest.Deliver, wsktest.Post, wsktest.Wait} {
		h := newHost(t)
		s := h.bound("0.0.0.0:1000")
		h.transport.SetMode(mode)
		end := newCall(t)
		var closing wsk.NTSTATUS
		irp := wsk.AllocateIRP()
		done := make(chan struct{})
		irp.SetCompletionRoutine(func(*wsk.IRP, any) wsk.NTSTATUS {
			defer close(done)
			h.transport.SetMode(wsktest.Post)
			again := newCall(t)
			want(t, "SendTo", s.SendTo(text("again"), 0, addr("192.0.2.1:9"), nil, &again.IRP), wsk.STATUS_PENDING)
			want(t, "set", h.set(s, sol, wsk.SO_BROADCAST, 1), wsk.STATUS_SUCCESS)
			h.localAddress(s, 16)
			want(t, "Bind", h.bind(s, "0.0.0.0:0"), wsk.STATUS_INVALID_DEVICE_STATE)
			other := h.socket(wsk.AF_INET)
			want(t, "Close of another", h.close(other), wsk.STATUS_SUCCESS)
			closing = s.Close(&end.IRP)
			return wsk.STATUS_MORE_PROCESSING_REQUIRED
		}, nil, true, true, true)
		want(t, "SendTo", s.SendTo(text("first"), 0, addr("192.0.2.1:9"), nil, irp), wsk.STATUS_PENDING)
		if mode != wsktest.Deliver {
			h.transport.CompleteAll(wsk.STATUS_SUCCESS)
		}
		<-done
		if end.completed.Load() != 0 {
			t.Error("closed with a send pending")
		}
		h.transport.CompleteAll(wsk.STATUS_SUCCESS)
		want(t, "Close", end.end("Close", closing), wsk.STATUS_SUCCESS)
	}
}

// Checklist item 17: an IRP is passed again in its own routine for ever, with every completion a synchronous failure,
// and with every completion a success through the transport. The stack does not grow.
func TestResendFromRoutine(t *testing.T) {
	const rounds = 200_000
	for _, c := range []struct {
		name   string
		remote wsk.SOCKADDR
		status wsk.NTSTATUS
	}{
		{"synchronous-failure", addr("0.0.0.0:0"), wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"success", addr("192.0.2.1:9"), wsk.STATUS_SUCCESS},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			h.transport.Record(false)
			s := h.bound("0.0.0.0:1000")
			buf := text("x")
			var n, deepest int
			pcs := make([]uintptr, 4096)
			done := make(chan struct{})
			var routine wsk.CompletionRoutine
			routine = func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
				if irp.IoStatus.Status != c.status {
					t.Errorf("%v", irp.IoStatus.Status)
				}
				if n%1000 < 20 {
					deepest = max(deepest, runtime.Callers(0, pcs))
				}
				if n++; n == rounds {
					close(done)
					return wsk.STATUS_MORE_PROCESSING_REQUIRED
				}
				irp.Reuse(wsk.STATUS_SUCCESS)
				irp.SetCompletionRoutine(routine, nil, true, true, true)
				s.SendTo(buf, 0, c.remote, nil, irp)
				return wsk.STATUS_MORE_PROCESSING_REQUIRED
			}
			irp := wsk.AllocateIRP()
			irp.SetCompletionRoutine(routine, nil, true, true, true)
			s.SendTo(buf, 0, c.remote, nil, irp)
			<-done
			if deepest > 200 {
				t.Errorf("%d frames deep", deepest)
			}
			want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
		})
	}
}

// Beyond the nesting limit: STATUS_PENDING, PendingReturned, and completion all the same. For
// socket calls and for provider calls.
func TestNestedFailures(t *testing.T) {
	h := newHost(t)
	s := h.socket(wsk.AF_INET)
	for name, fail := range map[string]func(irp *wsk.IRP) wsk.NTSTATUS{
		"SendTo": func(irp *wsk.IRP) wsk.NTSTATUS { return s.SendTo(nil, 0, nil, nil, irp) },
		"Socket": func(irp *wsk.IRP) wsk.NTSTATUS {
			return h.npi.Socket(0, 0, 0, 99, nil, nil, nil, nil, nil, irp)
		},
		"Socket without client": func(irp *wsk.IRP) wsk.NTSTATUS {
			return (&wsk.ProviderNPI{}).Socket(0, 0, 0, 99, nil, nil, nil, nil, nil, irp)
		},
	} {
		var inline, pending atomic.Int32
		var all sync.WaitGroup
		var nest func(depth int)
		nest = func(depth int) {
			if depth == 0 {
				return
			}
			all.Add(1)
			var returned atomic.Bool
			irp := wsk.AllocateIRP()
			irp.SetCompletionRoutine(func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
				defer all.Done()
				if irp.PendingReturned {
					pending.Add(1)
				} else {
					inline.Add(1)
					if returned.Load() {
						t.Errorf("%s: completed after its return, without STATUS_PENDING", name)
					}
				}
				nest(depth - 1)
				return wsk.STATUS_MORE_PROCESSING_REQUIRED
			}, nil, true, true, true)
			fail(irp)
			returned.Store(true)
		}
		nest(100)
		all.Wait()
		if inline.Load()+pending.Load() != 100 || pending.Load() == 0 || name != "Socket without client" && inline.Load() == 0 {
			t.Errorf("%s: %d inline, %d pending", name, inline.Load(), pending.Load())
		}
	}
	want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
}

// Checklist item 19 for sends: one that waits can be cancelled, one that is with the kernel can't.
func TestCancelSend(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	for _, c := range []struct {
		mode   wsktest.Mode
		cancel bool
		want   wsk.NTSTATUS
	}{{wsktest.Wait, true, wsk.STATUS_CANCELLED}, {wsktest.Post, false, wsk.STATUS_SUCCESS}} {
		h.transport.SetMode(c.mode)
		irp := newCall(t)
		status := s.SendTo(text("x"), 0, addr("192.0.2.1:9"), nil, &irp.IRP)
		if got := irp.Cancel(); got != c.cancel {
			t.Errorf("Cancel: %v", got)
		}
		h.transport.CompleteAll(wsk.STATUS_SUCCESS)
		want(t, "SendTo", irp.end("SendTo", status), c.want)
		if irp.Cancel() {
			t.Error("Cancel after completion: true")
		}
		irp.Reuse(wsk.STATUS_SUCCESS)
	}
	if n := len(h.transport.Datagrams()); n != 1 {
		t.Errorf("%d datagrams left, want the one that was posted", n)
	}
}
