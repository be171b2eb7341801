// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
)

// panicky is an IRP whose routine panics.
func panicky() *IRP {
	irp := AllocateIRP()
	irp.SetCompletionRoutine(func(*IRP, any) NTSTATUS { panic("routine") }, nil, true, true, true)
	return irp
}

// recovers calls f as a client that recovers from the panic of its routine.
func recovers(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if recover() != "routine" {
			t.Error("the routine's panic did not come through")
		}
	}()
	f()
}

// A routine that panics on its client's goroutine does no harm to others: what was to complete with it completes, and
// its socket and its client can end. (It runs in a bubble, where a goroutine that waits for ever is noticed.)
func TestRoutinePanics(t *testing.T) {
	to := NewSockaddr(netip.MustParseAddrPort("192.0.2.1:9"))
	receive := func(s *Socket, irp *IRP) { s.ReceiveFrom(&Buf{}, 0, nil, nil, nil, nil, irp) }
	for name, f := range map[string]func(t *testing.T, s *Socket, transport *knowingTransport){
		"send": func(t *testing.T, s *Socket, transport *knowingTransport) {
			s.SendTo(&Buf{}, 0, to, nil, panicky())
			recovers(t, func() { transport.op.Complete(STATUS_SUCCESS) })
		},
		"refused": func(t *testing.T, s *Socket, _ *knowingTransport) {
			for range 2 * maxNesting {
				recovers(t, func() { s.SendTo(nil, 0, to, nil, panicky()) })
			}
		},
		"bind": func(t *testing.T, s *Socket, _ *knowingTransport) {
			s.update(func(sn *snapshot) NTSTATUS { sn.bind = unbound; return STATUS_SUCCESS })
			recovers(t, func() { s.Bind(NewSockaddr(netip.MustParseAddrPort("0.0.0.0:7")), 0, panicky()) })
		},
		"provider": func(t *testing.T, s *Socket, _ *knowingTransport) {
			npi := ProviderNPI{Client: s.client, Dispatch: &ProviderDispatch{provider: s.provider}}
			recovers(t, func() { npi.SocketConnect(0, 0, nil, nil, 0, nil, nil, nil, nil, nil, panicky()) })
		},
		"cancelled": func(t *testing.T, s *Socket, _ *knowingTransport) {
			irp := panicky()
			receive(s, irp)
			recovers(t, func() { irp.Cancel() })
		},
		"arrival": func(t *testing.T, s *Socket, transport *knowingTransport) {
			second := AllocateIRP()
			receive(s, panicky())
			receive(s, second)
			list := &Datagram{Lender: transport, Next: &Datagram{Lender: transport}}
			list.Source.Addr, list.Next.Source.Addr = [16]byte{10: 0xff, 11: 0xff}, [16]byte{10: 0xff, 11: 0xff}
			recovers(t, func() { (*endpointEvents)(s).Receive(list) })
			if second.pending() {
				t.Error("the second receive was lost")
			}
		},
		"attended": func(t *testing.T, s *Socket, transport *knowingTransport) {
			irp := panicky()
			receive(s, irp)
			transport.attend = func() { (*endpointEvents)(s).Receive(transport.datagram()) }
			recovers(t, func() { s.WaitReceive(irp) })
		},
		"ended": func(t *testing.T, s *Socket, _ *knowingTransport) {
			irps := []*IRP{AllocateIRP(), panicky(), AllocateIRP(), panicky(), AllocateIRP()}
			for _, irp := range irps {
				receive(s, irp)
			}
			end := AllocateIRP()
			recovers(t, func() { s.Close(end) })
			for i, irp := range append(irps, end) {
				if irp.pending() {
					t.Errorf("IRP %d was lost", i)
				}
			}
		},
		"closed": func(t *testing.T, s *Socket, _ *knowingTransport) { recovers(t, func() { s.Close(panicky()) }) },
		"waited for": func(t *testing.T, s *Socket, transport *knowingTransport) {
			irp := panicky()
			s.SendTo(&Buf{}, 0, to, nil, irp)
			woken := make(chan struct{})
			go func() {
				_ = irp.Wait(context.Background())
				close(woken)
			}()
			synctest.Wait()
			recovers(t, func() { transport.op.Complete(STATUS_SUCCESS) })
			<-woken
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := new(knowingTransport)
				s := newSocketOver(t, transport)
				f(t, s, transport)
				if depth := s.nested.depth.Load() + s.provider.nested.depth.Load(); depth != 0 {
					t.Errorf("%d calls count as in progress", depth)
				}
				end := AllocateIRP()
				if s.Close(end); end.pending() {
					t.Error("the socket can't be closed")
				}
			})
		})
	}
}
