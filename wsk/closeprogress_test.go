// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"net/netip"
	"testing"
)

// inlineTransport completes in Send, and knows whether a Send is in progress.
type inlineTransport struct {
	sink
	inSend, closed bool
	early          bool // closed during a Send
}

func (t *inlineTransport) OpenEndpoint(uint16, EndpointEvents) (Endpoint, NTSTATUS) {
	return t, STATUS_SUCCESS
}

func (t *inlineTransport) Send(op *SendOp) {
	t.inSend = true
	op.Complete(STATUS_SUCCESS)
	t.inSend = false
}

func (t *inlineTransport) Close(done func()) {
	t.closed, t.early = true, t.inSend
	done()
}

// wsk.md §10 item 71: Close from the routine of a send that completes inside the call. The endpoint is closed only when
// Endpoint.Send has returned, as the transport contract says, although no operation is pending any more.
func TestCloseWaitsForCallInProgress(t *testing.T) {
	transport := new(inlineTransport)
	ss := new(Subsystem)
	var reg Registration
	var npi ProviderNPI
	ss.Attach(transport, ProviderOptions{})
	ss.Register(&ClientNPI{Dispatch: &ClientDispatch{Version: MakeVersion(1, 0)}}, &reg)
	CaptureProviderNPI(&reg, WSK_NO_WAIT, &npi)
	irp, end := AllocateIRP(), AllocateIRP()
	npi.Socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP, WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	s := irp.IoStatus.Socket
	irp.Reuse(STATUS_SUCCESS)
	s.Bind(NewSockaddr(netip.MustParseAddrPort("0.0.0.0:7")), 0, irp)
	irp.Reuse(STATUS_SUCCESS)
	irp.SetCompletionRoutine(func(*IRP, any) NTSTATUS {
		s.Close(end)
		return STATUS_MORE_PROCESSING_REQUIRED
	}, nil, true, true, true)
	to := NewSockaddr(netip.MustParseAddrPort("192.0.2.1:9"))
	if status := s.SendTo(&Buf{}, 0, to, nil, irp); status != STATUS_PENDING {
		t.Fatal(status)
	}
	if !transport.closed || transport.early || end.IoStatus.Status != STATUS_SUCCESS || end.pending() {
		t.Errorf("closed %v, during Send %v, close IRP %v", transport.closed, transport.early, end.IoStatus.Status)
	}
	ReleaseProviderNPI(&reg)
	Deregister(&reg)
}
