// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// events is a socket's half above an endpoint.
type events struct {
	dead    chan struct{}
	receive func(*wsk.Datagram)
}

func (e *events) Dead()                   { close(e.dead) }
func (e *events) Receive(d *wsk.Datagram) { e.receive(d) }

// endpoint binds an endpoint of a client without a socket above.
func endpoint(t testing.TB, transport *client.Transport, receive func(*wsk.Datagram)) (wsk.ReceivingEndpoint, netip.AddrPort, *events) {
	t.Helper()
	e := &events{dead: make(chan struct{}), receive: receive}
	ep, status := transport.OpenEndpoint(wsk.AF_INET, e)
	if status != wsk.STATUS_SUCCESS {
		t.Fatal(status)
	}
	done := make(chan wsk.NTSTATUS, 1)
	var at netip.AddrPort
	ep.Bind(wsk.BindRequest{Local: netip.AddrPortFrom(local, 0)}, func(local netip.AddrPort, status wsk.NTSTATUS) {
		at = local
		done <- status
	})
	if status := <-done; status != wsk.STATUS_SUCCESS {
		t.Fatal(status)
	}
	return ep.(wsk.ReceivingEndpoint), at, e
}

func closeEndpoint(ep wsk.Endpoint) {
	ep.Abort()
	done := make(chan struct{})
	ep.Close(func() { close(done) })
	<-done
}

// TestRecord: everything of a datagram, and of an ICMP error, comes through, in lists of one cast.
func TestRecord(t *testing.T) {
	memory := memory()
	d := serve(t, memory, nil)
	got := make(chan wsk.Datagram, 10)
	lists := 0
	ep, at, _ := endpoint(t, open(t, client.Options{Path: d.path}), func(d *wsk.Datagram) {
		lists++
		for cast := d.Cast; d != nil; {
			next := d.Next
			if d.Cast != cast {
				t.Errorf("casts %d and %d in one list", cast, d.Cast)
			}
			one := *d
			one.Payload = append([]byte(nil), d.Payload...)
			if d.Err != nil {
				e := *d.Err
				one.Err = &e
			}
			d.Release()
			got <- one
			d = next
		}
	})
	from := netip.MustParseAddrPort("198.51.100.7:9")
	memory.Arrive(
		wsktest.Arrival{From: from, To: at, Payload: []byte("one"), IfIndex: 3, TTL: 7, TOS: 0xb8},
		wsktest.Arrival{From: from, To: at, Payload: []byte("everybody"), IfIndex: 4, Cast: wsk.Broadcast, Segment: 4},
		wsktest.Arrival{From: from, To: at, Err: &wsk.ReceiveError{Protocol: 1, Type: 3, Code: 4, Info: 1400}},
	)
	one, everybody, icmp := <-got, <-got, <-got
	if string(one.Payload) != "one" || one.IfIndex != 3 || one.TTL != 7 || one.TOS != 0xb8 || one.Cast != wsk.Unicast || one.Err != nil ||
		one.Source != (wsk.Address{Addr: from.Addr().As16(), Port: 9}) || one.Destination != local.As16() {
		t.Errorf("%+v", one)
	}
	if string(everybody.Payload) != "everybody" || everybody.Cast != wsk.Broadcast || everybody.Segment != 4 || everybody.IfIndex != 4 {
		t.Errorf("%+v", everybody)
	}
	if icmp.Err == nil || *icmp.Err != (wsk.ReceiveError{Protocol: 1, Type: 3, Code: 4, Info: 1400}) || len(icmp.Payload) != 0 {
		t.Errorf("%+v", icmp)
	}
	closeEndpoint(ep)
	if lists < 3 {
		t.Errorf("%d lists", lists)
	}
}

// TestKeep: what is kept outlives its message, and the messages go round.
func TestKeep(t *testing.T) {
	memory := memory()
	d := serve(t, memory, nil)
	const n = 500
	var mu sync.Mutex
	var kept []*wsk.Datagram
	ep, at, _ := endpoint(t, open(t, client.Options{Path: d.path}), func(d *wsk.Datagram) {
		mu.Lock()
		defer mu.Unlock()
		for d != nil {
			next := d.Next
			d.Lender.Keep(d)
			kept = append(kept, d)
			d = next
		}
	})
	for i := range n {
		size := 2
		if i%50 == 0 {
			size = 60000 // more than a chunk of the pool
		}
		payload := make([]byte, size)
		payload[0], payload[size-1] = byte(i), byte(i)
		memory.Arrive(wsktest.Arrival{From: netip.MustParseAddrPort("198.51.100.7:9"), To: at, Payload: payload})
	}
	testenv.Eventually(t, waitLimit, "all datagrams", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(kept) == n
	})
	closeEndpoint(ep)
	for i, d := range kept {
		if d.Payload[0] != byte(i) || d.Payload[len(d.Payload)-1] != byte(i) || int(d.Memory) < len(d.Payload) {
			t.Errorf("datagram %d: % x, %d bytes of memory", i, d.Payload[:2], d.Memory)
		}
		d.Release()
	}
}

// TestSlowReader: a socket that does not return from its callback stops nobody else: neither another socket nor its own
// sends.
func TestSlowReader(t *testing.T) {
	memory := memory()
	d := serve(t, memory, nil)
	transport := open(t, client.Options{Path: d.path})
	stuck, free := make(chan struct{}), make(chan struct{})
	slow, slowAt, _ := endpoint(t, transport, func(d *wsk.Datagram) {
		close(stuck)
		<-free
		release(d)
	})
	got := make(chan struct{}, 1)
	quick, quickAt, _ := endpoint(t, transport, func(d *wsk.Datagram) {
		release(d)
		got <- struct{}{}
	})
	from := netip.MustParseAddrPort("198.51.100.7:9")
	memory.Arrive(wsktest.Arrival{From: from, To: slowAt})
	<-stuck
	memory.Arrive(wsktest.Arrival{From: from, To: quickAt})
	<-got
	irp := wsk.AllocateIRP()
	to := wsk.Destination{Addr: from.Addr().As16(), Port: 9, TTL: 1}
	slow.Send(irp.Relay(&to, &wsk.Buf{}, 0))
	if status := await(t, irp); status != wsk.STATUS_SUCCESS {
		t.Error(status)
	}
	closed := make(chan struct{})
	slow.Abort()
	slow.Close(func() { close(closed) })
	closeEndpoint(quick) // has been answered behind the other
	select {
	case <-closed:
		t.Error("closed while its callback is running")
	default:
	}
	close(free)
	<-closed
}

func release(d *wsk.Datagram) {
	for d != nil {
		next := d.Next
		d.Release()
		d = next
	}
}

// TestCredit: the daemon is never asked for more than there is memory for, whatever the socket does with its datagrams.
func TestCredit(t *testing.T) {
	memory := memory()
	var mu sync.Mutex
	given := 0
	d := serve(t, memory, func(d *daemon) {
		d.intercept = func(_ *peer, h ipc.Header, body []byte) bool {
			var c ipc.Credit
			if h.Type == ipc.TypeCredit && c.Decode(body) == nil {
				mu.Lock()
				given += int(c.Messages)
				mu.Unlock()
			}
			return false
		}
	})
	var held []*wsk.Datagram
	arrived := 0
	ep, at, _ := endpoint(t, open(t, client.Options{Path: d.path}), func(d *wsk.Datagram) {
		mu.Lock()
		defer mu.Unlock()
		for d != nil {
			held = append(held, d)
			arrived++
			d = d.Next
		}
	})
	one := wsktest.Arrival{From: netip.MustParseAddrPort("198.51.100.7:9"), To: at, Payload: []byte{1}}
	count := func(n int) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return arrived == n
		}
	}
	const credit = 8
	for i := range credit {
		memory.Arrive(one)
		testenv.Eventually(t, waitLimit, "the datagram", count(i+1))
	}
	memory.Arrive(one) // waits in the daemon
	mu.Lock()
	if given != credit || arrived != credit {
		t.Errorf("%d credit for %d datagrams that are held", given, arrived)
	}
	back := held
	held = nil
	mu.Unlock()
	for _, d := range back {
		d.Release()
	}
	testenv.Eventually(t, waitLimit, "the last datagram", count(credit+1))
	closeEndpoint(ep)
	for _, d := range held {
		d.Release()
	}
}

// TestHostileDaemon: whatever a daemon says that it may not, the session ends, and with it everything, once.
func TestHostileDaemon(t *testing.T) {
	done := func(h ipc.Header, left uint32, ids ...uint32) []byte {
		m := ipc.Done{Left: left}
		for _, id := range ids {
			m.Add(ipc.Completion{ID: id})
		}
		h.Type = h.Type.Reply()
		return m.Append(h.Append(nil))
	}
	recv := func(socket uint32) []byte {
		var w ipc.RecvWriter
		w.Begin(make([]byte, 0, ipc.MaxMessage), socket)
		w.Add(&ipc.Record{})
		return w.Message()
	}
	for name, answer := range map[string]func(h ipc.Header) []byte{
		"another entry":    func(h ipc.Header) []byte { return done(h, 0, 5) },
		"no entry":         func(h ipc.Header) []byte { return done(h, 0, 5000) },
		"twice":            func(h ipc.Header) []byte { return done(h, 0, 0, 0) },
		"too many left":    func(h ipc.Header) []byte { return done(h, 1, 0) },
		"another sequence": func(h ipc.Header) []byte { h.Seq = 77; return done(h, 0, 0) },
		"another socket":   func(h ipc.Header) []byte { h.Socket++; return done(h, 0, 0) },
		"another reply":    func(h ipc.Header) []byte { h.Type = ipc.TypeClose.Reply(); return h.Append(nil) },
		"a failure of all": func(h ipc.Header) []byte { h.Type, h.Status = h.Type.Reply(), 0xc0000001; return h.Append(nil) },
		"too much":         func(h ipc.Header) []byte { return append(recv(h.Socket), 0) },
		"RECV of another":  func(h ipc.Header) []byte { return recv(h.Socket + 1) },
		"a request":        func(h ipc.Header) []byte { return h.Append(nil) },
		"half a header":    func(h ipc.Header) []byte { return h.Append(nil)[:9] },
		"DEAD of another": func(h ipc.Header) []byte {
			return new(ipc.Failure).Append(ipc.Header{Type: ipc.TypeDead, Socket: h.Socket + 1}.Append(nil))
		},
		"addresses without end": func(ipc.Header) []byte {
			return append(ipc.Header{Type: ipc.TypeAddresses}.Append(nil), 255, 255, 255, 255)
		},
		"an ERROR": func(ipc.Header) []byte { return new(ipc.Failure).Append(ipc.Header{Type: ipc.TypeError}.Append(nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			d := serve(t, memory(), func(d *daemon) {
				d.intercept = func(p *peer, h ipc.Header, _ []byte) bool {
					if h.Type == ipc.TypeSend {
						p.conn.Write(answer(h))
					}
					return h.Type == ipc.TypeSend
				}
			})
			ep, _, e := endpoint(t, open(t, client.Options{Path: d.path}), release)
			irps := make([]*wsk.IRP, 3)
			to := wsk.Destination{Addr: local.As16(), Port: 9, TTL: 1}
			for i := range irps {
				irps[i] = wsk.AllocateIRP()
				ep.Send(irps[i].Relay(&to, &wsk.Buf{}, 0))
			}
			ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
			defer cancel()
			for i, irp := range irps {
				if err := irp.Wait(ctx); err != nil {
					t.Fatalf("datagram %d: %v", i, err)
				}
			}
			<-e.dead
			closeEndpoint(ep)
		})
	}
}

// TestNoCredit: RECV that nobody has asked for ends the session.
func TestNoCredit(t *testing.T) {
	d := serve(t, memory(), func(d *daemon) {
		d.intercept = func(p *peer, h ipc.Header, _ []byte) bool {
			if h.Type != ipc.TypeCredit {
				return false
			}
			var w ipc.RecvWriter
			for range 9 {
				w.Begin(make([]byte, 0, ipc.MaxMessage), h.Socket)
				w.Add(&ipc.Record{})
				p.conn.Write(w.Message())
			}
			return true
		}
	})
	var held []*wsk.Datagram
	ep, _, e := endpoint(t, open(t, client.Options{Path: d.path}), func(d *wsk.Datagram) { held = append(held, d) })
	<-e.dead
	closeEndpoint(ep)
	for _, d := range held {
		release(d)
	}
}

// FuzzAnswers is a daemon that says anything.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{1, 0})
	f.Add(append([]byte{28}, new(ipc.Failure).Append(ipc.Header{Type: ipc.TypeError}.Append(nil))...))
	f.Fuzz(func(t *testing.T, script []byte) {
		d := serve(t, memory(), func(d *daemon) {
			d.intercept = func(p *peer, h ipc.Header, _ []byte) bool {
				if h.Type != ipc.TypeSend {
					return false
				}
				for len(script) > 0 {
					n := min(1+int(script[0]), len(script)-1)
					p.conn.Write(script[1 : 1+n])
					script = script[1+n:]
				}
				p.conn.Close()
				return true
			}
		})
		ep, _, _ := endpoint(t, open(t, client.Options{Path: d.path}), release)
		irp := wsk.AllocateIRP()
		to := wsk.Destination{Addr: local.As16(), Port: 9, TTL: 1}
		ep.Send(irp.Relay(&to, &wsk.Buf{}, 0))
		await(t, irp)
		closeEndpoint(ep)
	})
}
