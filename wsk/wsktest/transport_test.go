// SPDX-License-Identifier: Apache-2.0

package wsktest_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// open is a bound socket over a new transport.
func open(t *testing.T) (*wsktest.Transport, *wsk.Socket) {
	t.Helper()
	transport := wsktest.New()
	ss := new(wsk.Subsystem)
	ss.Attach(transport, wsk.ProviderOptions{})
	reg := new(wsk.Registration)
	ss.Register(&wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}, reg)
	var npi wsk.ProviderNPI
	wsk.CaptureProviderNPI(reg, wsk.WSK_NO_WAIT, &npi)
	irp := wsk.AllocateIRP()
	npi.Socket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	if err := irp.Wait(t.Context()); err != nil || irp.IoStatus.Socket == nil {
		t.Fatal(err, irp.IoStatus.Status)
	}
	s := irp.IoStatus.Socket
	irp.Reuse(wsk.STATUS_SUCCESS)
	s.Bind(wsk.NewSockaddr(netip.MustParseAddrPort("192.0.2.1:7")), 0, irp)
	if err := irp.Wait(t.Context()); err != nil || irp.IoStatus.Status != wsk.STATUS_SUCCESS {
		t.Fatal(err, irp.IoStatus.Status)
	}
	t.Cleanup(func() {
		irp := wsk.AllocateIRP()
		s.Close(irp)
		transport.CompleteAll(wsk.STATUS_SUCCESS)
		if err := irp.Wait(context.Background()); err != nil {
			t.Error(err)
		}
		wsk.ReleaseProviderNPI(reg)
		wsk.Deregister(reg)
	})
	return transport, s
}

func send(s *wsk.Socket, payload string) *wsk.IRP {
	irp := wsk.AllocateIRP()
	buf := wsk.Buf{Mdl: wsk.AllocateMDL([]byte(payload)), Length: uintptr(len(payload))}
	s.SendTo(&buf, 0, wsk.NewSockaddr(netip.MustParseAddrPort("192.0.2.9:9")), nil, irp)
	return irp
}

// What each mode does with an operation; and those that are pending complete in any order.
func TestModes(t *testing.T) {
	transport, s := open(t)
	left := func(want ...string) {
		t.Helper()
		d := transport.Datagrams()
		if len(d) != len(want) {
			t.Fatalf("%d datagrams left, want %d", len(d), len(want))
		}
		for i := range d {
			if string(d[i].Payload) != want[i] || d[i].From.String() != "192.0.2.1:7" || d[i].To.IP().String() != "192.0.2.9" {
				t.Errorf("datagram %d: %+v", i, d[i])
			}
		}
	}
	pending := func(irp *wsk.IRP, want bool) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got := irp.Wait(ctx) != nil; got != want {
			t.Errorf("pending is %v", got)
		}
	}
	pending(send(s, "a"), false)
	left("a")
	transport.SetMode(wsktest.Post)
	posted := send(s, "b")
	pending(posted, true)
	left("a", "b")
	transport.SetMode(wsktest.Wait)
	first, second := send(s, "c"), send(s, "d")
	left("a", "b")
	if !transport.Complete(2, wsk.STATUS_SUCCESS) {
		t.Fatal("the third of three is not there")
	}
	pending(second, false)
	left("a", "b", "d")
	if !transport.Complete(1, wsk.STATUS_HOST_UNREACHABLE) || first.IoStatus.Status != wsk.STATUS_HOST_UNREACHABLE {
		t.Errorf("%v", first.IoStatus.Status)
	}
	left("a", "b", "d")
	if transport.Complete(1, wsk.STATUS_SUCCESS) || transport.Complete(-1, wsk.STATUS_SUCCESS) {
		t.Error("completed what is not there")
	}
	if n := transport.CompleteAll(wsk.STATUS_SUCCESS); n != 1 {
		t.Errorf("%d were pending", n)
	}
	if c := transport.Counts(); c.Sends != 4 || c.Completed != 4 || c.Pending != 0 || c.Cancelled != 0 {
		t.Errorf("%+v", c)
	}
}

// Kill ends what is pending, and every later call.
func TestKill(t *testing.T) {
	transport, s := open(t)
	transport.SetMode(wsktest.Wait)
	irp := send(s, "x")
	transport.Kill()
	if irp.IoStatus.Status != wsk.STATUS_FILE_FORCED_CLOSED || send(s, "y").IoStatus.Status != wsk.STATUS_FILE_FORCED_CLOSED {
		t.Errorf("%v", irp.IoStatus.Status)
	}
	if n := len(transport.Datagrams()); n != 0 {
		t.Errorf("%d datagrams left", n)
	}
}
