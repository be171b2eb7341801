// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// TestEarlyDead: a daemon whose DEAD comes before it has answered OPEN breaks the order, and does no harm by it: a socket
// that is bound hears of its death behind the bind, and one whose bind has failed not at all.
func TestEarlyDead(t *testing.T) {
	deaths := 2
	d := serve(t, memory(), func(d *daemon) {
		d.intercept = func(p *peer, h ipc.Header, _ []byte) bool {
			if h.Type == ipc.TypeOpen && deaths > 0 {
				deaths--
				p.write(ipc.Header{Type: ipc.TypeDead, Socket: h.Socket}, (&ipc.Failure{Reason: ipc.ReasonDeviceGone}).Append(nil))
			}
			return false
		}
	})
	transport := open(t, client.Options{Path: d.path})
	dead, at, e := endpoint(t, transport, release)
	<-e.dead

	taken := &events{dead: make(chan struct{}), receive: release}
	ep, status := transport.OpenEndpoint(wsk.AF_INET, taken)
	if status != wsk.STATUS_SUCCESS {
		t.Fatal(status)
	}
	bind := func(local netip.AddrPort) wsk.NTSTATUS {
		done := make(chan wsk.NTSTATUS, 1)
		ep.Bind(wsk.BindRequest{Local: local}, func(_ netip.AddrPort, status wsk.NTSTATUS) { done <- status })
		return <-done
	}
	if status := bind(at); status == wsk.STATUS_SUCCESS {
		t.Fatalf("%v was bound twice", at)
	}
	if status := bind(netip.AddrPortFrom(local, 0)); status != wsk.STATUS_SUCCESS {
		t.Fatal(status)
	}
	irp := wsk.AllocateIRP()
	ep.Send(irp.Relay(&wsk.Destination{Addr: local.As16(), Port: 9, TTL: 1}, &wsk.Buf{}, 0))
	if status := await(t, irp); status != wsk.STATUS_SUCCESS {
		t.Errorf("a send after a failed bind: %v", status)
	}
	select {
	case <-taken.dead:
		t.Error("it has died with the bind that has failed")
	default:
	}
	closeEndpoint(dead)
	closeEndpoint(ep)
	if n := d.sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// TestNothingBeforeOpen: the daemon is asked nothing of a socket that it has not said to be open, nor of one whose bind has
// failed: it would end the session, with all sockets of the program.
func TestNothingBeforeOpen(t *testing.T) {
	opening := make(chan func(fail bool), 1)
	asked := make(chan ipc.Type, 10)
	d := serve(t, memory(), func(d *daemon) {
		d.intercept = func(p *peer, h ipc.Header, body []byte) bool {
			switch h.Type {
			case ipc.TypeOpen:
				body = append([]byte(nil), body...)
				opening <- func(fail bool) {
					if fail {
						p.reply(h, wsk.STATUS_ADDRESS_ALREADY_EXISTS, nil)
					} else if err := p.handle(h, body, nil); err != nil {
						t.Error(err)
					}
				}
				return true
			case ipc.TypeMTU:
				asked <- h.Type
			}
			return false
		}
	})
	transport := open(t, client.Options{Path: d.path})
	ep, status := transport.OpenEndpoint(wsk.AF_INET, &events{dead: make(chan struct{}), receive: release})
	if status != wsk.STATUS_SUCCESS {
		t.Fatal(status)
	}
	to := wsk.Destination{Addr: local.As16(), Port: 9, TTL: 1}
	quiet := func(when string) {
		t.Helper()
		ep.MTU(&to)
		if _, status := transport.SourceFor(wsk.Address{Addr: to.Addr}); status != wsk.STATUS_SUCCESS { // comes behind
			t.Fatal(status)
		}
		select {
		case kind := <-asked:
			t.Errorf("%v %s", kind, when)
		default:
		}
	}
	for _, fail := range []bool{true, false} {
		done := make(chan wsk.NTSTATUS, 1)
		ep.Bind(wsk.BindRequest{Local: netip.AddrPortFrom(local, 0)}, func(_ netip.AddrPort, status wsk.NTSTATUS) { done <- status })
		answer := <-opening
		quiet("while the socket is being opened")
		answer(fail)
		if status := <-done; (status != wsk.STATUS_SUCCESS) != fail {
			t.Fatal(status)
		}
		if fail {
			quiet("after a bind that has failed")
		}
	}
	ep.MTU(&to)
	<-asked
	closeEndpoint(ep)
	if n := d.sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// TestBatchFillsMessages: operations that are handed over at once are found at once by the writer, whose messages are full
// and in their order.
func TestBatchFillsMessages(t *testing.T) {
	const n = 100
	messages := make(chan []uint32, n)
	d := serve(t, memory(), func(d *daemon) {
		d.intercept = func(_ *peer, h ipc.Header, body []byte) bool {
			if h.Type == ipc.TypeSend {
				var m ipc.Send
				if err := m.Decode(body); err != nil {
					t.Error(err)
				}
				var ports []uint32
				for i := range m.Datagrams() {
					ports = append(ports, uint32(m.Datagrams()[i].Port))
				}
				messages <- ports
			}
			return false
		}
	})
	ep, _, _ := endpoint(t, open(t, client.Options{Path: d.path}), release)
	if _, ok := ep.(wsk.BatchEndpoint); !ok { // one by one they fill the messages too, nearly always
		t.Fatal("it takes no batches")
	}
	irps, ops := make([]*wsk.IRP, n), make([]*wsk.SendOp, n)
	for i := range irps {
		irps[i] = wsk.AllocateIRP()
		ops[i] = irps[i].Relay(&wsk.Destination{Addr: local.As16(), Port: uint16(i + 1), TTL: 1}, &wsk.Buf{}, 0)
	}
	wsk.SendAll(ep, ops)
	all(t, irps, wsk.STATUS_SUCCESS)
	if first, second := <-messages, <-messages; len(first) != ipc.MaxBatch || len(second) != n-ipc.MaxBatch {
		t.Errorf("messages of %d and %d datagrams", len(first), len(second))
	} else {
		for i, port := range append(first, second...) {
			if port != uint32(i+1) {
				t.Fatalf("datagram %d is number %d", i, port-1)
			}
		}
	}
	closeEndpoint(ep)
}
