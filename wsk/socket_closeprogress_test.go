// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"net/netip"
	"sync"
	"testing"
)

// inlineTransport completes in Send, with a Completer if it has one, and notices whether a routine is running when it
// is closed.
type inlineTransport struct {
	sink
	completer           *Completer
	inRoutine, closed   bool
	early, beforeReturn bool // closed during a routine, during a Send
}

func (t *inlineTransport) OpenEndpoint(uint16, EndpointEvents) (Endpoint, NTSTATUS) {
	return t, STATUS_SUCCESS
}

func (t *inlineTransport) Send(op *SendOp) {
	if t.completer != nil {
		t.completer.Complete(op, STATUS_SUCCESS)
	} else {
		op.Complete(STATUS_SUCCESS)
	}
	t.beforeReturn = t.closed
}

func (t *inlineTransport) Close(done func()) {
	t.closed, t.early = true, t.inRoutine
	done()
}

// newSocketOver is a bound socket.
func newSocketOver(t *testing.T, transport Transport) *Socket {
	ss := new(Subsystem)
	var reg Registration
	var npi ProviderNPI
	ss.Attach(transport, ProviderOptions{})
	ss.Register(&ClientNPI{Dispatch: &ClientDispatch{Version: MakeVersion(1, 0)}}, &reg)
	CaptureProviderNPI(&reg, WSK_NO_WAIT, &npi)
	t.Cleanup(func() {
		ReleaseProviderNPI(&reg)
		Deregister(&reg)
	})
	irp := AllocateIRP()
	npi.Socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP, WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	s := irp.IoStatus.Socket
	irp.Reuse(STATUS_SUCCESS)
	s.Bind(NewSockaddr(netip.MustParseAddrPort("0.0.0.0:7")), 0, irp)
	return s
}

// closeInRoutine sends once, and closes the socket in the routine of that send. It returns the IRP of Close.
func closeInRoutine(t *testing.T, transport *inlineTransport) (end *IRP) {
	s := newSocketOver(t, transport)
	irp, end := AllocateIRP(), AllocateIRP()
	irp.SetCompletionRoutine(func(*IRP, any) NTSTATUS {
		transport.inRoutine = true
		s.Close(end)
		transport.inRoutine = false
		return STATUS_MORE_PROCESSING_REQUIRED
	}, nil, true, true, true)
	to := NewSockaddr(netip.MustParseAddrPort("192.0.2.1:9"))
	if status := s.SendTo(&Buf{}, 0, to, nil, irp); status != STATUS_PENDING {
		t.Fatal(status)
	}
	return end
}

// Checklist item 71: Close from the routine of a send that completes inside the call. The endpoint is closed when the
// routine has returned; by the transport contract that need not wait for the call itself.
func TestCloseWaitsForRoutine(t *testing.T) {
	transport := new(inlineTransport)
	end := closeInRoutine(t, transport)
	if !transport.closed || transport.early || !transport.beforeReturn || end.pending() || end.IoStatus.Status != STATUS_SUCCESS {
		t.Errorf("%+v, close IRP %v", transport, end.IoStatus.Status)
	}
}

// The same for a transport that counts its completions in bulk: the end waits for Flush.
func TestCloseWaitsForFlush(t *testing.T) {
	completer := new(Completer)
	transport := &inlineTransport{completer: completer}
	end := closeInRoutine(t, transport)
	if transport.closed || !end.pending() {
		t.Fatalf("closed before Flush: %+v", transport)
	}
	completer.Flush()
	completer.Flush()
	if !transport.closed || transport.early || end.pending() || end.IoStatus.Status != STATUS_SUCCESS {
		t.Errorf("%+v, close IRP %v", transport, end.IoStatus.Status)
	}
}

// A routine sends through another socket, whose transport completes at once by the same Completer: each socket is told
// of its own operations.
func TestCompleterInsideItself(t *testing.T) {
	completer := new(Completer)
	a, first := newSinkSocket(t, "0.0.0.0:7")
	b, second := newSinkSocket(t, "0.0.0.0:8")
	outer, inner := AllocateIRP(), AllocateIRP()
	to := NewSockaddr(netip.MustParseAddrPort("192.0.2.1:9"))
	outer.SetCompletionRoutine(func(*IRP, any) NTSTATUS {
		b.SendTo(&Buf{}, 0, to, nil, inner)
		completer.Complete(second.op, STATUS_SUCCESS)
		return STATUS_MORE_PROCESSING_REQUIRED
	}, nil, true, true, true)
	a.SendTo(&Buf{}, 0, to, nil, outer)
	completer.Complete(first.op, STATUS_SUCCESS)
	completer.Flush()
	for i, s := range []*Socket{a, b} {
		if n := s.calls.InFlight(); n != 0 {
			t.Errorf("socket %d: %d operations in flight", i, n)
		}
	}
}

// slowTransport blocks in MTU.
type slowTransport struct {
	inlineTransport
	entered, proceed chan struct{}
}

func (t *slowTransport) OpenEndpoint(uint16, EndpointEvents) (Endpoint, NTSTATUS) {
	return t, STATUS_SUCCESS
}

func (t *slowTransport) MTU(*Destination) (int, NTSTATUS) {
	t.inRoutine = true // not to be closed
	close(t.entered)
	<-t.proceed
	t.inRoutine = false
	return 1500, STATUS_SUCCESS
}

// Calls that find the socket closed come and go, while a call from before the close is still in the endpoint. None of
// them may take that one for over, although each looks at the counts. (This is about the order in which inflight.Calls
// reads them.)
func TestCloseWaitsAmongRefusedCalls(t *testing.T) {
	transport := &slowTransport{entered: make(chan struct{}), proceed: make(chan struct{})}
	s := newSocketOver(t, transport)
	irp := AllocateIRP()
	to := NewSockaddr(netip.MustParseAddrPort("192.0.2.1:9"))
	s.ControlSocket(WskIoctl, SIO_WSK_SET_REMOTE_ADDRESS, 0, to, nil, nil, irp)
	var slow, hammer sync.WaitGroup
	slow.Go(func() { s.ControlSocket(WskGetOption, IP_MTU, IPPROTO_IP, nil, make([]byte, 4), nil, nil) })
	<-transport.entered
	end := AllocateIRP()
	s.Close(end)
	for range 4 {
		hammer.Go(func() {
			for range 150_000 {
				s.ControlSocket(WskGetOption, IP_TTL, IPPROTO_IP, nil, make([]byte, 4), nil, nil)
			}
		})
	}
	hammer.Wait()
	if transport.closed {
		t.Error("the endpoint was closed with a call in it")
	}
	close(transport.proceed)
	slow.Wait()
	if !transport.closed || transport.early || end.pending() {
		t.Errorf("%+v, close IRP %v", transport.inlineTransport, end.IoStatus.Status)
	}
}
