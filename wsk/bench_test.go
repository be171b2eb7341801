// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"net/netip"
	"testing"
)

// sink is a minimal transport: it keeps the last operation for the test to complete.
type sink struct{ op *SendOp }

func (t *sink) OpenEndpoint(uint16, EndpointEvents) (Endpoint, NTSTATUS) { return t, STATUS_SUCCESS }
func (t *sink) Bind(req BindRequest, done func(netip.AddrPort, NTSTATUS)) {
	done(req.Local, STATUS_SUCCESS)
}
func (t *sink) Send(op *SendOp)                  { t.op = op }
func (t *sink) MTU(*Destination) (int, NTSTATUS) { return 1500, STATUS_SUCCESS }
func (t *sink) Abort()                           {}
func (t *sink) Close(done func())                { done() }

// newSinkSocket is a bound socket over a sink.
func newSinkSocket(tb testing.TB, local string) (*Socket, *sink) {
	tb.Helper()
	transport := new(sink)
	var ss Subsystem
	if status := ss.Attach(transport, ProviderOptions{}); status != STATUS_SUCCESS {
		tb.Fatal(status)
	}
	var reg Registration
	if status := ss.Register(&ClientNPI{Dispatch: &ClientDispatch{Version: 0x100}}, &reg); status != STATUS_SUCCESS {
		tb.Fatal(status)
	}
	var npi ProviderNPI
	if status := CaptureProviderNPI(&reg, WSK_NO_WAIT, &npi); status != STATUS_SUCCESS {
		tb.Fatal(status)
	}
	ap := netip.MustParseAddrPort(local)
	family := uint16(AF_INET6)
	if ap.Addr().Is4() {
		family = AF_INET
	}
	irp := AllocateIRP()
	npi.Socket(family, SOCK_DGRAM, IPPROTO_UDP, WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	s := irp.IoStatus.Socket
	irp.Reuse(0)
	s.Bind(NewSockaddr(ap), 0, irp)
	if irp.IoStatus.Status != STATUS_SUCCESS {
		tb.Fatal(irp.IoStatus.Status)
	}
	return s, transport
}

func freeRoutine(irp *IRP, context any) NTSTATUS {
	*context.(*int)++
	return STATUS_MORE_PROCESSING_REQUIRED
}

func BenchmarkSendTo(b *testing.B) {
	cases := []struct {
		name, local, remote string
		control             []byte
	}{
		{"ipv4", "0.0.0.0:1000", "192.0.2.1:9", nil},
		{"ipv6", "[::]:1000", "[2001:db8::1]:9", nil},
		{"ipv4/pktinfo+tos", "0.0.0.0:1000", "192.0.2.1:9",
			AppendTOS(AppendPktinfo(nil, netip.MustParseAddr("192.0.2.7"), 3), true, 0x2e)},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			s, transport := newSinkSocket(b, c.local)
			irp := AllocateIRP()
			buf := &Buf{Mdl: AllocateMDL(make([]byte, 64)), Length: 64}
			to := NewSockaddr(netip.MustParseAddrPort(c.remote))
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				irp.SetCompletionRoutine(freeRoutine, &n, true, true, true)
				if status := s.SendTo(buf, 0, to, c.control, irp); status != STATUS_PENDING {
					b.Fatal(status)
				}
				transport.op.Complete(STATUS_SUCCESS)
				irp.Reuse(STATUS_SUCCESS)
			}
			if n == 0 {
				b.Fatal("no routine ran")
			}
		})
	}
}
