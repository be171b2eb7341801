// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// deaf is an endpoint's events that nobody needs.
type deaf struct{}

func (deaf) Dead() {}

// relay opens and binds an endpoint that has no socket.
func relayEndpoint(t testing.TB, transport *wsktest.Transport, req wsk.BindRequest) wsk.Endpoint {
	t.Helper()
	e, status := transport.OpenEndpoint(wsk.AF_INET, deaf{})
	want(t, "OpenEndpoint", status, wsk.STATUS_SUCCESS)
	e.Bind(req, func(_ netip.AddrPort, status wsk.NTSTATUS) { want(t, "Bind", status, wsk.STATUS_SUCCESS) })
	return e
}

func destination(s string) wsk.Destination {
	ap := netip.MustParseAddrPort(s)
	return wsk.Destination{Addr: ap.Addr().As16(), Port: ap.Port(), TTL: 64}
}

// TestRelay: an operation without a socket leaves, completes its IRP, can be cancelled, and its IRP can be used again.
func TestRelay(t *testing.T) {
	transport := wsktest.New()
	e := relayEndpoint(t, transport, wsk.BindRequest{Local: netip.MustParseAddrPort("0.0.0.0:7000")})
	to := destination("192.0.2.1:9")
	c := newCall(t)
	e.Send(c.Relay(&to, text("relayed"), 3))
	want(t, "relay", c.end("Relay", wsk.STATUS_PENDING), wsk.STATUS_SUCCESS)
	if c.IoStatus.Information != 7 {
		t.Errorf("Information %d", c.IoStatus.Information)
	}
	if got := transport.Datagrams(); len(got) != 3 || string(got[2].Payload) != "d" || got[0].To != to {
		t.Errorf("left: %v", got)
	}

	transport.SetMode(wsktest.Wait)
	c = newCall(t)
	e.Send(c.Relay(&to, text("waits"), 0))
	if !c.Cancel() {
		t.Error("Cancel has found nothing to cancel")
	}
	want(t, "cancelled", c.end("Relay", wsk.STATUS_PENDING), wsk.STATUS_CANCELLED)

	if op := newCall(t).Relay(&to, &wsk.Buf{Length: 1}, 0); op != nil {
		t.Error("a Buf without an MDL was taken")
	}
	defer func() {
		if recover() == nil {
			t.Error("an IRP that was not reused was taken")
		}
	}()
	c.Relay(&to, text("again"), 0)
}

// TestCompleterOfRelayed: a Completer takes operations of sockets and of none in turn.
func TestCompleterOfRelayed(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:0")
	e := relayEndpoint(t, h.transport, wsk.BindRequest{Local: netip.MustParseAddrPort("0.0.0.0:7001")})
	sink := &holder{Endpoint: e}
	to := destination("192.0.2.1:9")
	var completer wsk.Completer
	for range 3 {
		relayed := newCall(t)
		sink.Send(relayed.Relay(&to, text("a"), 0))
		completer.Complete(sink.op, wsk.STATUS_SUCCESS)
		want(t, "relayed", relayed.end("Relay", wsk.STATUS_PENDING), wsk.STATUS_SUCCESS)
		own := newCall(t)
		want(t, "SendTo", s.SendTo(text("b"), 0, addr("192.0.2.1:9"), nil, &own.IRP), wsk.STATUS_PENDING)
	}
	completer.Flush()
	want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
}

// holder keeps an operation instead of sending it.
type holder struct {
	wsk.Endpoint
	op *wsk.SendOp
}

func (h *holder) Send(op *wsk.SendOp) { h.op = op }

func TestRelayAllocatesNothing(t *testing.T) {
	transport := wsktest.New()
	e := relayEndpoint(t, transport, wsk.BindRequest{Local: netip.MustParseAddrPort("0.0.0.0:7002")})
	hold := &holder{Endpoint: e}
	irp, to, buf := wsk.AllocateIRP(), destination("192.0.2.1:9"), text("x")
	if n := testing.AllocsPerRun(100, func() {
		hold.Send(irp.Relay(&to, buf, 0))
		hold.op.Complete(wsk.STATUS_SUCCESS)
		irp.Reuse(wsk.STATUS_SUCCESS)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestValidDestination(t *testing.T) {
	for _, c := range []struct {
		name   string
		family uint16
		to     string
		change func(*wsk.Destination)
		want   wsk.NTSTATUS
	}{
		{"plain", wsk.AF_INET, "192.0.2.1:9", nil, wsk.STATUS_SUCCESS},
		{"plain 6", wsk.AF_INET6, "[2001:db8::1]:9", nil, wsk.STATUS_SUCCESS},
		{"v4 from dual", wsk.AF_INET6, "192.0.2.1:9", nil, wsk.STATUS_SUCCESS},
		{"v6 from v4", wsk.AF_INET, "[2001:db8::1]:9", nil, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"port 0", wsk.AF_INET, "192.0.2.1:0", nil, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"wildcard", wsk.AF_INET, "0.0.0.0:9", nil, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"wildcard 6", wsk.AF_INET6, "[::]:9", nil, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"TTL", wsk.AF_INET, "192.0.2.1:9", func(d *wsk.Destination) { d.TTL = 0 }, wsk.STATUS_INVALID_PARAMETER},
		{"fragment", wsk.AF_INET, "192.0.2.1:9", func(d *wsk.Destination) { d.Fragment = wsk.IP_PMTUDISC_MAX }, wsk.STATUS_INVALID_PARAMETER},
		{"flags", wsk.AF_INET, "192.0.2.1:9", func(d *wsk.Destination) { d.Flags = 4 }, wsk.STATUS_INVALID_PARAMETER},
		{"no checksum", wsk.AF_INET, "192.0.2.1:9", func(d *wsk.Destination) { d.Flags = wsk.NoChecksum }, wsk.STATUS_SUCCESS},
		{"no checksum 6", wsk.AF_INET6, "[2001:db8::1]:9", func(d *wsk.Destination) { d.Flags = wsk.NoChecksum }, wsk.STATUS_INVALID_PARAMETER},
		{"broadcast", wsk.AF_INET, "255.255.255.255:9", nil, wsk.STATUS_ACCESS_DENIED},
		{"broadcast allowed", wsk.AF_INET, "255.255.255.255:9", func(d *wsk.Destination) { d.Flags = wsk.AllowBroadcast }, wsk.STATUS_SUCCESS},
		{"source", wsk.AF_INET, "192.0.2.1:9", source("192.0.2.2"), wsk.STATUS_SUCCESS},
		{"source 6 to 4", wsk.AF_INET6, "192.0.2.1:9", source("2001:db8::2"), wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"source a group", wsk.AF_INET, "192.0.2.1:9", source("239.1.1.1"), wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"source a wildcard", wsk.AF_INET, "192.0.2.1:9", source("0.0.0.0"), wsk.STATUS_INVALID_ADDRESS_COMPONENT},
	} {
		to := destination(c.to)
		if c.change != nil {
			c.change(&to)
		}
		want(t, c.name, wsk.ValidDestination(c.family, &to), c.want)
	}
}

func source(s string) func(*wsk.Destination) {
	return func(d *wsk.Destination) { d.Source = netip.MustParseAddr(s).As16() }
}

// TestOwnersNeverShare: what the matrix lets sockets share, sockets of different owners do not.
func TestOwnersNeverShare(t *testing.T) {
	first := wsk.BindRequest{Local: netip.MustParseAddrPort("0.0.0.0:7000"), ReuseAddress: true, ShareGranted: true, Owner: 1001}
	for _, local := range []string{"0.0.0.0:7000", "192.0.2.1:7000"} {
		second := wsk.BindRequest{Local: netip.MustParseAddrPort(local), ReuseAddress: true, Owner: 1001}
		if local == "0.0.0.0:7000" {
			second.Local = netip.MustParseAddrPort("192.0.2.1:7000")
		}
		want(t, "same owner", wsk.Sharing(&first, &second), wsk.STATUS_SUCCESS)
		second.Owner, second.Local = 1002, netip.MustParseAddrPort(local)
		want(t, "another owner, "+local, wsk.Sharing(&first, &second), wsk.STATUS_ADDRESS_ALREADY_EXISTS)
		second.Local = netip.MustParseAddrPort("192.0.2.1:7001")
		want(t, "another owner and port", wsk.Sharing(&first, &second), wsk.STATUS_SUCCESS)
	}
}
