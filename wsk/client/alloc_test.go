// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// echo makes the daemon one that allocates nothing: what is sent has left at once, and comes back.
func echo(d *daemon) {
	var (
		send   ipc.Send
		done   ipc.Done
		writer ipc.RecvWriter
		out    = make([]byte, 0, ipc.MaxMessage)
		buf    = make([]byte, 0, ipc.MaxMessage)
		credit uint32
	)
	d.intercept = func(p *peer, h ipc.Header, body []byte) bool {
		switch h.Type {
		case ipc.TypeCredit:
			var c ipc.Credit
			if err := c.Decode(body); err != nil {
				d.t.Error(err)
			}
			credit += c.Messages
			return true
		case ipc.TypeSend:
		default:
			return false
		}
		if err := send.Decode(body); err != nil {
			d.t.Error(err)
		}
		done.Reset()
		writer.Begin(buf, h.Socket)
		for i := range send.Datagrams() {
			one := &send.Datagrams()[i]
			done.Add(ipc.Completion{ID: one.ID, Bytes: one.Length})
			if payload, ok := writer.Add(&ipc.Record{Length: one.Length, Source: one.Addr, Port: one.Port}); ok {
				copy(payload, one.Payload)
			}
		}
		h.Type = h.Type.Reply()
		p.conn.Write(done.Append(h.Append(out[:0])))
		if credit > 0 {
			credit--
			p.conn.Write(writer.Message())
		}
		return true
	}
}

// TestNoAllocations: in steady state a datagram allocates nothing, sent or received, kept or not.
func TestNoAllocations(t *testing.T) {
	d := serve(t, memory(), echo)
	var received atomic.Int64
	ep, _, _ := endpoint(t, open(t, client.Options{Path: d.path}), func(d *wsk.Datagram) {
		for n := 0; d != nil; n++ {
			next := d.Next
			if n%2 == 0 {
				d.Lender.Keep(d)
			}
			d.Release()
			received.Add(1)
			d = next
		}
	})
	const burst = 64
	irps := make([]*wsk.IRP, burst)
	for i := range irps {
		irps[i] = wsk.AllocateIRP()
	}
	to := wsk.Destination{Addr: local.As16(), Port: 9, TTL: 1}
	payload := wsk.AllocateMDL(make([]byte, 100))
	var left atomic.Int32
	over := make(chan struct{}, 1)
	routine := func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
		if irp.IoStatus.Status != wsk.STATUS_SUCCESS {
			t.Error(irp.IoStatus.Status)
		}
		if left.Add(-1) == 0 {
			over <- struct{}{}
		}
		return wsk.STATUS_SUCCESS
	}
	round := func() {
		left.Store(burst)
		for _, irp := range irps {
			irp.Reuse(wsk.STATUS_SUCCESS)
			irp.SetCompletionRoutine(routine, nil, true, true, true)
			ep.Send(irp.Relay(&to, &wsk.Buf{Mdl: payload, Length: 100}, 0))
		}
		<-over
	}
	for range 200 {
		round()
	}
	if each := testing.AllocsPerRun(200, round) / burst; each > 0.02 {
		t.Errorf("%v allocations a datagram", each)
	}
	if received.Load() == 0 {
		t.Error("nothing has come back")
	}
	closeEndpoint(ep)
}

// BenchmarkSendBatch is a datagram of 64 bytes of a batch of 64 through the connection and back, one batch at a time.
func BenchmarkSendBatch(b *testing.B) {
	d := serve(b, memory(), echo)
	ep, _, _ := endpoint(b, open(b, client.Options{Path: d.path}), release)
	var left atomic.Int32
	over := make(chan struct{}, 1)
	routine := func(*wsk.IRP, any) wsk.NTSTATUS {
		if left.Add(-1) == 0 {
			over <- struct{}{}
		}
		return wsk.STATUS_SUCCESS
	}
	to := wsk.Destination{Addr: local.As16(), Port: 9, TTL: 1}
	buf := wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 64)), Length: 64}
	irps, ops := make([]*wsk.IRP, ipc.MaxBatch), make([]*wsk.SendOp, ipc.MaxBatch)
	for i := range irps {
		irps[i] = wsk.AllocateIRP()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += len(irps) {
		left.Store(int32(len(irps)))
		for i, irp := range irps {
			irp.Reuse(wsk.STATUS_SUCCESS)
			irp.SetCompletionRoutine(routine, nil, true, true, true)
			ops[i] = irp.Relay(&to, &buf, 0)
		}
		wsk.SendAll(ep, ops)
		<-over
	}
	closeEndpoint(ep)
}

// BenchmarkSend is a datagram of 64 bytes through the connection and back, with 256 IRPs under way.
func BenchmarkSend(b *testing.B) {
	d := serve(b, memory(), echo)
	ep, _, _ := endpoint(b, open(b, client.Options{Path: d.path}), release)
	irps := make(chan *wsk.IRP, 256)
	routine := func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
		irps <- irp
		return wsk.STATUS_SUCCESS
	}
	for range cap(irps) {
		irps <- wsk.AllocateIRP()
	}
	to := wsk.Destination{Addr: local.As16(), Port: 9, TTL: 1}
	payload := wsk.AllocateMDL(make([]byte, 64))
	b.ReportAllocs()
	for b.Loop() {
		irp := <-irps
		irp.Reuse(wsk.STATUS_SUCCESS)
		irp.SetCompletionRoutine(routine, nil, true, true, true)
		ep.Send(irp.Relay(&to, &wsk.Buf{Mdl: payload, Length: 64}, 0))
	}
	testenv.Eventually(b, waitLimit, "the last datagrams", func() bool { return len(irps) == cap(irps) })
	closeEndpoint(ep)
}
