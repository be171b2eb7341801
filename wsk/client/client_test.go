// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// waitLimit is how long something may take that should take no time at all.
const waitLimit = time.Minute

var local = netip.MustParseAddr("192.0.2.1")

// memory is a transport in memory with an address.
func memory() *wsktest.Transport {
	t := wsktest.New()
	t.SetLocal(local)
	return t
}

// await waits for an IRP and is its status.
func await(t testing.TB, irp *wsk.IRP) wsk.NTSTATUS {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	if err := irp.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return irp.IoStatus.Status
}

// call makes a call and waits for its end.
func call(t testing.TB, begin func(*wsk.IRP)) (*wsk.IRP, wsk.NTSTATUS) {
	t.Helper()
	irp := wsk.AllocateIRP()
	begin(irp)
	return irp, await(t, irp)
}

// newSocket makes a socket that is closed at the end of the test, unless the test does.
func newSocket(t testing.TB, npi *wsk.ProviderNPI) *wsk.Socket {
	t.Helper()
	irp, status := call(t, func(irp *wsk.IRP) {
		npi.Socket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	})
	if status != wsk.STATUS_SUCCESS {
		t.Fatal(status)
	}
	socket := irp.IoStatus.Socket
	t.Cleanup(func() { call(t, func(irp *wsk.IRP) { socket.Close(irp) }) })
	return socket
}

func bind(t testing.TB, socket *wsk.Socket) wsk.NTSTATUS {
	t.Helper()
	_, status := call(t, func(irp *wsk.IRP) {
		socket.Bind(wsk.NewSockaddr(netip.AddrPortFrom(local, 0)), 0, irp)
	})
	return status
}

// bound is a socket with an address.
func bound(t testing.TB, npi *wsk.ProviderNPI) *wsk.Socket {
	t.Helper()
	socket := newSocket(t, npi)
	if status := bind(t, socket); status != wsk.STATUS_SUCCESS {
		t.Fatal(status)
	}
	return socket
}

var remote = wsk.NewSockaddr(netip.MustParseAddrPort("198.51.100.7:9"))

// send sends n datagrams, each with an IRP of its own.
func send(socket *wsk.Socket, n int) []*wsk.IRP {
	irps := make([]*wsk.IRP, n)
	for i := range irps {
		irps[i] = wsk.AllocateIRP()
		payload := []byte{byte(i), byte(i >> 8)}
		socket.SendTo(&wsk.Buf{Mdl: wsk.AllocateMDL(payload), Length: 2}, 0, remote, nil, irps[i])
	}
	return irps
}

// all checks that every IRP ends in a status.
func all(t testing.TB, irps []*wsk.IRP, want wsk.NTSTATUS) {
	t.Helper()
	for i, irp := range irps {
		if status := await(t, irp); status != want {
			t.Errorf("datagram %d: %v, want %v", i, status, want)
		}
	}
}

func pending(t testing.TB, transport *wsktest.Transport, n int) {
	t.Helper()
	testenv.Eventually(t, waitLimit, "datagrams to be under way", func() bool { return transport.Counts().Pending == n })
}

// TestOrder: whatever there are of messages and places, datagrams leave in the order of the calls.
func TestOrder(t *testing.T) {
	transport := memory()
	transport.SetMode(wsktest.Wait)
	d := serve(t, transport, nil)
	socket := bound(t, capture(t, open(t, client.Options{Path: d.path})))
	irps := send(socket, 3000)
	for done := 0; done < len(irps); {
		if transport.Complete(0, wsk.STATUS_SUCCESS) {
			done++
			continue
		}
		testenv.Eventually(t, waitLimit, "more datagrams", func() bool { return transport.Counts().Pending > 0 })
	}
	all(t, irps, wsk.STATUS_SUCCESS)
	for i, got := range transport.Datagrams() {
		if n := int(got.Payload[0]) | int(got.Payload[1])<<8; n != i {
			t.Fatalf("datagram %d is number %d", n, i)
		}
	}
}

// TestCancel takes back what waits in the client, and what waits in the daemon, and nothing else.
func TestCancel(t *testing.T) {
	transport := memory()
	transport.SetMode(wsktest.Wait)
	d := serve(t, transport, nil)
	socket := bound(t, capture(t, open(t, client.Options{Path: d.path})))
	const there = 16 // SENDs of one datagram each, so that no more fit
	var irps []*wsk.IRP
	for i := range there {
		irps = append(irps, send(socket, 1)...)
		pending(t, transport, i+1)
	}
	irps = append(irps, send(socket, 3)...)
	for _, i := range []int{there + 1, 3} {
		if !irps[i].Cancel() {
			t.Errorf("datagram %d can't be cancelled", i)
		}
		if status := await(t, irps[i]); status != wsk.STATUS_CANCELLED {
			t.Errorf("datagram %d: %v", i, status)
		}
	}
	pending(t, transport, there+1) // the two that have waited take the place of the one that is gone
	transport.CompleteAll(wsk.STATUS_SUCCESS)
	for i, irp := range irps {
		if i != 3 && i != there+1 {
			if status := await(t, irp); status != wsk.STATUS_SUCCESS {
				t.Errorf("datagram %d: %v", i, status)
			}
		}
	}
	if counts := transport.Counts(); counts.Sends != there+2 {
		t.Errorf("the daemon has got %d datagrams", counts.Sends)
	}
}

// TestCancelTooLate: what has left completes as it would have.
func TestCancelTooLate(t *testing.T) {
	transport := memory()
	transport.SetMode(wsktest.Post)
	d := serve(t, transport, nil)
	socket := bound(t, capture(t, open(t, client.Options{Path: d.path})))
	irps := send(socket, 2)
	pending(t, transport, 2)
	irps[0].Cancel()
	transport.CompleteAll(wsk.STATUS_SUCCESS)
	all(t, irps, wsk.STATUS_SUCCESS)
}

// TestClose: what waits is cancelled, here and there, and what is with the kernel is waited for.
func TestClose(t *testing.T) {
	transport := memory()
	transport.SetMode(wsktest.Wait)
	d := serve(t, transport, nil)
	socket := bound(t, capture(t, open(t, client.Options{Path: d.path})))
	irps := send(socket, 2000)
	testenv.Eventually(t, waitLimit, "datagrams", func() bool { return transport.Counts().Pending > 0 })
	if _, status := call(t, func(irp *wsk.IRP) { socket.Close(irp) }); status != wsk.STATUS_SUCCESS {
		t.Error(status)
	}
	all(t, irps, wsk.STATUS_CANCELLED)
	if counts := transport.Counts(); counts.Closed != 1 || counts.Pending != 0 {
		t.Errorf("%+v", counts)
	}
}

// TestDaemonDies: everything ends, once, and the next socket connects to the next daemon.
func TestDaemonDies(t *testing.T) {
	transport := memory()
	transport.SetMode(wsktest.Wait)
	d := serve(t, transport, nil)
	npi := capture(t, open(t, client.Options{Path: d.path}))
	socket := bound(t, npi)
	irps := send(socket, 3000) // wsk panics when one completes twice
	receive := wsk.AllocateIRP()
	socket.ReceiveFrom(&wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 8)), Length: 8}, 0, nil, nil, nil, nil, receive)
	testenv.Eventually(t, waitLimit, "datagrams", func() bool { return transport.Counts().Pending > 0 })
	d.kill()
	all(t, irps, wsk.STATUS_FILE_FORCED_CLOSED)
	if status := await(t, receive); status != wsk.STATUS_FILE_FORCED_CLOSED {
		t.Errorf("receive: %v", status)
	}
	all(t, send(socket, 1), wsk.STATUS_FILE_FORCED_CLOSED)
	if status := bind(t, newSocket(t, npi)); status != wsk.STATUS_CONNECTION_REFUSED && status != wsk.STATUS_FILE_FORCED_CLOSED {
		t.Errorf("bind without a daemon: %v", status)
	}
	d.listen()
	transport.SetMode(wsktest.Deliver)
	all(t, send(bound(t, npi), 100), wsk.STATUS_SUCCESS)
	if n := d.sessions(); n != 2 {
		t.Errorf("%d sessions", n)
	}
}

// TestNoDaemon: what a program is told.
func TestNoDaemon(t *testing.T) {
	transport := open(t, client.Options{Path: t.TempDir() + "/none"})
	if status := bind(t, newSocket(t, capture(t, transport))); status != wsk.STATUS_CONNECTION_REFUSED {
		t.Errorf("bind: %v", status)
	}
	if err := transport.Connect(); err == nil {
		t.Error("connected")
	}
}

// TestGoodbye: old sockets go on, and new ones get a session of their own.
func TestGoodbye(t *testing.T) {
	transport := memory()
	d := serve(t, transport, nil)
	npi := capture(t, open(t, client.Options{Path: d.path}))
	old := bound(t, npi)
	goodbye := ipc.Goodbye{After: time.Hour}
	d.mu.Lock()
	first := d.peers[0]
	d.mu.Unlock()
	first.write(ipc.Header{Type: ipc.TypeGoodbye}, goodbye.Append(nil))
	testenv.Eventually(t, waitLimit, "a second session", func() bool {
		bound(t, npi)
		return d.sessions() == 2
	})
	all(t, send(old, 10), wsk.STATUS_SUCCESS)
}

// TestGoodbyeLast: the session ends with its last socket.
func TestGoodbyeLast(t *testing.T) {
	d := serve(t, memory(), nil)
	socket := bound(t, capture(t, open(t, client.Options{Path: d.path})))
	d.mu.Lock()
	only := d.peers[0]
	d.mu.Unlock()
	goodbye := ipc.Goodbye{After: time.Hour}
	only.write(ipc.Header{Type: ipc.TypeGoodbye}, goodbye.Append(nil))
	call(t, func(irp *wsk.IRP) { socket.Close(irp) })
	testenv.Eventually(t, waitLimit, "the session to end", func() bool {
		only.mu.Lock()
		defer only.mu.Unlock()
		return only.sockets == nil
	})
}

// TestCloseAfterGoodbye: Close ends the sessions too that the daemon has said goodbye to and that have sockets left.
func TestCloseAfterGoodbye(t *testing.T) {
	d := serve(t, memory(), nil)
	transport := open(t, client.Options{Path: d.path})
	npi := capture(t, transport)
	old := bound(t, npi)
	goodbye := ipc.Goodbye{After: time.Hour}
	d.mu.Lock()
	first := d.peers[0]
	d.mu.Unlock()
	first.write(ipc.Header{Type: ipc.TypeGoodbye}, goodbye.Append(nil))
	testenv.Eventually(t, waitLimit, "a second session", func() bool {
		bound(t, npi)
		return d.sessions() == 2
	})
	transport.Close()
	all(t, send(old, 1), wsk.STATUS_FILE_FORCED_CLOSED)
	testenv.Eventually(t, waitLimit, "the first session to end", func() bool {
		first.mu.Lock()
		defer first.mu.Unlock()
		return first.sockets == nil
	})
}

// TestRoutineAsks: a completion routine may make the calls that make a round trip.
func TestRoutineAsks(t *testing.T) {
	d := serve(t, memory(), nil)
	transport := open(t, client.Options{Path: d.path})
	socket := bound(t, capture(t, transport))
	var status atomic.Uint32
	status.Store(uint32(wsk.STATUS_PENDING))
	irp := wsk.AllocateIRP()
	irp.SetCompletionRoutine(func(*wsk.IRP, any) wsk.NTSTATUS {
		_, s := transport.SourceFor(wsk.Address{Addr: local.As16()})
		status.Store(uint32(s))
		return wsk.STATUS_SUCCESS
	}, nil, true, true, true)
	socket.SendTo(&wsk.Buf{}, 0, remote, nil, irp)
	await(t, irp)
	testenv.Eventually(t, waitLimit, "the answer", func() bool { return status.Load() == uint32(wsk.STATUS_SUCCESS) })
}

// refusals collects.
func refusals(n int) (chan client.Refusal, func(client.Refusal)) {
	c := make(chan client.Refusal, n)
	return c, func(r client.Refusal) { c <- r }
}

// failure answers a request with a reason.
func failure(p *peer, h ipc.Header, status wsk.NTSTATUS, reason ipc.Reason, text string) {
	f := ipc.Failure{Reason: reason, Text: text}
	p.reply(h, status, f.Append(nil))
}

// TestRefusedSocket: status and reason of an OPEN that is refused, and the same socket can be bound to something else.
func TestRefusedSocket(t *testing.T) {
	refuse := atomic.Bool{}
	refuse.Store(true)
	d := serve(t, memory(), func(d *daemon) {
		d.intercept = func(p *peer, h ipc.Header, _ []byte) bool {
			if h.Type != ipc.TypeOpen || !refuse.Load() {
				return false
			}
			failure(p, h, wsk.STATUS_ACCESS_DENIED, ipc.ReasonSourcePort, "not that one")
			return true
		}
	})
	got, on := refusals(1)
	socket := newSocket(t, capture(t, open(t, client.Options{Path: d.path, OnRefusal: on})))
	if status := bind(t, socket); status != wsk.STATUS_ACCESS_DENIED {
		t.Errorf("bind: %v", status)
	}
	want := client.Refusal{
		Of: ipc.TypeOpen, Reason: ipc.ReasonSourcePort, Status: wsk.STATUS_ACCESS_DENIED, Text: "not that one",
		Local: netip.AddrPortFrom(local, 0),
	}
	if r := <-got; r != want {
		t.Errorf("%+v", r)
	}
	refuse.Store(false)
	if status := bind(t, socket); status != wsk.STATUS_SUCCESS {
		t.Errorf("bind again: %v", status)
	}
	all(t, send(socket, 1), wsk.STATUS_SUCCESS)
}

// TestScope: the daemon is told of a scope that belongs to the address. The kernel takes another one for nothing, and so
// does a bind.
func TestScope(t *testing.T) {
	asked := make(chan ipc.Address, 1)
	d := serve(t, memory(), func(d *daemon) {
		d.intercept = func(p *peer, h ipc.Header, body []byte) bool {
			if h.Type != ipc.TypeOpen {
				return false
			}
			var o ipc.Open
			if err := o.Decode(body); err != nil {
				t.Error(err)
			}
			asked <- o.Local
			failure(p, h, wsk.STATUS_ACCESS_DENIED, ipc.ReasonSourcePort, "")
			return true
		}
	})
	tr := open(t, client.Options{Path: d.path})
	for at, scope := range map[string]uint32{"2001:db8::1%2": 0, "::%2": 0, "fe80::1%2": 2, "ff02::1%2": 2} {
		ep, status := tr.OpenEndpoint(wsk.AF_INET6, &events{dead: make(chan struct{})})
		if status != wsk.STATUS_SUCCESS {
			t.Fatal(status)
		}
		bound := make(chan wsk.NTSTATUS, 1)
		ep.Bind(wsk.BindRequest{Local: netip.AddrPortFrom(netip.MustParseAddr(at), 0)}, func(_ netip.AddrPort, s wsk.NTSTATUS) { bound <- s })
		if a := <-asked; a.Scope != scope {
			t.Errorf("%s: scope %d", at, a.Scope)
		}
		<-bound
		closeEndpoint(ep)
	}
}

// TestRefusedDatagram: the status is the IRP's, and the reason is told before.
func TestRefusedDatagram(t *testing.T) {
	d := serve(t, memory(), func(d *daemon) {
		d.intercept = func(p *peer, h ipc.Header, body []byte) bool {
			var s ipc.Send
			if h.Type != ipc.TypeSend || s.Decode(body) != nil {
				return false
			}
			var done ipc.Done
			for _, one := range s.Datagrams() {
				done.Add(ipc.Completion{ID: one.ID, Status: uint32(wsk.STATUS_ACCESS_DENIED), Reason: ipc.ReasonDestination})
			}
			p.reply(h, wsk.STATUS_SUCCESS, done.Append(nil))
			return true
		}
	})
	got, on := refusals(200)
	socket := bound(t, capture(t, open(t, client.Options{Path: d.path, OnRefusal: on})))
	for _, irp := range send(socket, 200) {
		if status := await(t, irp); status != wsk.STATUS_ACCESS_DENIED {
			t.Errorf("send: %v", status)
		}
		select {
		case r := <-got:
			if r.Reason != ipc.ReasonDestination || r.Of != ipc.TypeSend || r.Remote != netip.MustParseAddrPort("198.51.100.7:9") {
				t.Fatalf("%+v", r)
			}
		default:
			t.Fatal("the reason comes after the completion")
		}
	}
}

// TestRefusedSession: the reason arrives also when the daemon has closed the connection before HELLO was sent.
func TestRefusedSession(t *testing.T) {
	for name, reads := range map[string]bool{"before HELLO": false, "after HELLO": true} {
		t.Run(name, func(t *testing.T) {
			d := serve(t, memory(), func(d *daemon) { d.hasty = !reads; d.intercept = refuseSession })
			got, on := refusals(1)
			transport := open(t, client.Options{Path: d.path, OnRefusal: on})
			if status := bind(t, newSocket(t, capture(t, transport))); status != wsk.STATUS_ACCESS_DENIED {
				t.Errorf("bind: %v", status)
			}
			if r := <-got; r.Reason != ipc.ReasonNotGranted || r.Of != ipc.TypeError {
				t.Errorf("%+v", r)
			}
			err := transport.Connect()
			var r client.Refusal
			if !errors.As(err, &r) || r.Reason != ipc.ReasonNotGranted || !errors.Is(err, wsk.STATUS_ACCESS_DENIED) {
				t.Errorf("connect: %v", err)
			}
			<-got
		})
	}
}

func refuseSession(p *peer, _ ipc.Header, _ []byte) bool {
	f := ipc.Failure{Reason: ipc.ReasonNotGranted, Text: "uid 7 is granted nothing"}
	p.write(ipc.Header{Type: ipc.TypeError}, f.Append(nil))
	p.conn.Close()
	return true
}
