// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// TestSendBatch: each datagram goes where its own address says, in the order of the list, and ends by itself; one that
// is refused stops no other, and one without an IRP completes nothing.
func TestSendBatch(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	remotes := []string{"192.0.2.1:9", "192.0.2.2:9", "192.0.2.1:10"}
	refused := map[int]wsk.NTSTATUS{3: wsk.STATUS_INVALID_ADDRESS_COMPONENT, 7: wsk.STATUS_INVALID_PARAMETER}
	var batch wsk.Batch
	var calls []*call
	var expect []string
	for i := range 10 {
		c := newCall(t)
		send := wsk.BatchSend{Buf: text(fmt.Sprint("datagram ", i)), Remote: addr(remotes[i%len(remotes)]), IRP: &c.IRP}
		switch i {
		case 3:
			send.Remote = addr("0.0.0.0:9")
		case 7:
			send.Flags = 1
		case 5:
			send.Control = wsk.AppendTTL(nil, true, 7)
			fallthrough
		default:
			expect = append(expect, fmt.Sprintf("datagram %d to %s", i, remotes[i%len(remotes)]))
		}
		calls, batch.Sends = append(calls, c), append(batch.Sends, send)
	}
	batch.Sends = append(batch.Sends, wsk.BatchSend{Buf: text("nobody's"), Remote: addr(remotes[0])})
	s.SendBatch(&batch)
	for i, c := range calls {
		want(t, fmt.Sprint(i), c.end("SendBatch", batch.Sends[i].Status), refused[i])
		if n := len(fmt.Sprint("datagram ", i)); refused[i] == 0 && c.IoStatus.Information != uintptr(n) {
			t.Errorf("%d: Information %d, want %d", i, c.IoStatus.Information, n)
		}
	}
	want(t, "no IRP", batch.Sends[10].Status, wsk.STATUS_INVALID_PARAMETER)
	var got []string
	for _, d := range h.transport.Datagrams() {
		got = append(got, fmt.Sprintf("%s to %v:%d", d.Payload, d.To.IP(), d.To.Port))
		if ttl := d.To.TTL; (ttl == 7) != (string(d.Payload) == "datagram 5") {
			t.Errorf("%s with TTL %d", d.Payload, ttl)
		}
	}
	if !slices.Equal(got, expect) {
		t.Errorf("left: %q, want %q", got, expect)
	}
	want(t, "Close", h.close(s), wsk.STATUS_SUCCESS) // everything has been counted back
	s.SendBatch(new(wsk.Batch))
}

// batching is an endpoint that takes many operations at once, and counts how often it does.
type batching struct {
	wsk.Endpoint
	batches []int
}

func (b *batching) SendBatch(ops []*wsk.SendOp) {
	b.batches = append(b.batches, len(ops))
	for i, op := range ops {
		ops[i] = nil // as it may
		b.Send(op)
	}
}

// batchingTransport makes its endpoints batching.
type batchingTransport struct {
	*wsktest.Transport
	last *batching
}

func (b *batchingTransport) OpenEndpoint(family uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	e, status := b.Transport.OpenEndpoint(family, events)
	b.last = &batching{Endpoint: e}
	return b.last, status
}

// TestSendBatchHandsOverOnce: what is accepted reaches the transport by one call. A routine may send the same IRP again
// and close the socket while the call is still going on, and each datagram can be cancelled by itself.
func TestSendBatchHandsOverOnce(t *testing.T) {
	transport := &batchingTransport{Transport: wsktest.New()}
	ss := new(wsk.Subsystem)
	h := &host{t: t, transport: transport.Transport}
	want(t, "Attach", ss.Attach(transport, wsk.ProviderOptions{}), wsk.STATUS_SUCCESS)
	want(t, "Register", ss.Register(clientNPI(1, 0), &h.reg), wsk.STATUS_SUCCESS)
	want(t, "Capture", wsk.CaptureProviderNPI(&h.reg, wsk.WSK_NO_WAIT, &h.npi), wsk.STATUS_SUCCESS)
	s := h.bound("0.0.0.0:1000")

	h.transport.SetMode(wsktest.Wait)
	calls := []*call{newCall(t), newCall(t), newCall(t)}
	var batch wsk.Batch
	for _, c := range calls {
		batch.Sends = append(batch.Sends, wsk.BatchSend{Buf: text("waits"), Remote: addr("192.0.2.1:9"), IRP: &c.IRP})
	}
	s.SendBatch(&batch)
	if !slices.Equal(transport.last.batches, []int{3}) {
		t.Errorf("handed over in %v", transport.last.batches)
	}
	if !calls[1].Cancel() {
		t.Error("nothing to cancel")
	}
	want(t, "cancelled", calls[1].end("SendBatch", batch.Sends[1].Status), wsk.STATUS_CANCELLED)
	if n := h.transport.CompleteAll(wsk.STATUS_SUCCESS); n != 2 {
		t.Errorf("%d were left", n)
	}
	for _, i := range []int{0, 2} {
		want(t, "the others", calls[i].end("SendBatch", batch.Sends[i].Status), wsk.STATUS_SUCCESS)
	}

	h.transport.SetMode(wsktest.Deliver)
	first, second, closing := newCall(t), newCall(t), newCall(t)
	first.inRoutine(func() { want(t, "Close", s.Close(&closing.IRP), wsk.STATUS_PENDING) })
	batch.Sends = []wsk.BatchSend{
		{Buf: text("first"), Remote: addr("192.0.2.1:9"), IRP: &first.IRP},
		{Buf: text("refused"), IRP: &second.IRP},
	}
	s.SendBatch(&batch)
	want(t, "first", first.end("SendBatch", batch.Sends[0].Status), wsk.STATUS_SUCCESS)
	want(t, "second", second.end("SendBatch", batch.Sends[1].Status), wsk.STATUS_INVALID_PARAMETER)
	want(t, "Close", closing.end("Close", wsk.STATUS_PENDING), wsk.STATUS_SUCCESS)
}
