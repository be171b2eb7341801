// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// songcast is the chain of OpenHome's Songcast driver: every step but the first is passed from the completion routine
// of the one before, with the same IRP.
type songcast struct {
	audit  *audit
	npi    *wsk.ProviderNPI
	irp    wsk.IRP
	socket *wsk.Socket
	adapt  netip.Addr
	ready  chan wsk.NTSTATUS
}

func (s *songcast) start() {
	c := s.audit.arm(&s.irp, "WskSocket", songcastCreated, s)
	c.returns(s.npi.Socket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, &s.irp))
}

// next passes the IRP again, from inside the completion routine of the step before. What f has on its stack is gone
// when f returns.
func (s *songcast) next(irp *wsk.IRP, what string, routine wsk.CompletionRoutine, f func(irp *wsk.IRP) wsk.NTSTATUS) wsk.NTSTATUS {
	if status := irp.IoStatus.Status; !status.Success() {
		s.ready <- status
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}
	irp.Reuse(wsk.STATUS_SUCCESS)
	c := s.audit.arm(irp, what, routine, s)
	c.returns(f(irp))
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

func songcastCreated(irp *wsk.IRP, context any) wsk.NTSTATUS {
	s := context.(*songcast)
	s.socket = irp.IoStatus.Socket
	return s.next(irp, "WskBind", songcastBound, func(irp *wsk.IRP) wsk.NTSTATUS {
		stack := wsk.NewSockaddr(netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
		defer scribble(stack)
		return s.socket.Bind(stack, 0, irp)
	})
}

func songcastBound(irp *wsk.IRP, context any) wsk.NTSTATUS {
	s := context.(*songcast)
	return s.next(irp, "IP_MULTICAST_TTL", songcastTTLSet, func(irp *wsk.IRP) wsk.NTSTATUS {
		stack := []byte{4} // InputSize 1
		defer scribble(stack)
		return s.socket.ControlSocket(wsk.WskSetOption, wsk.IP_MULTICAST_TTL, wsk.IPPROTO_IP, stack, nil, nil, irp)
	})
}

func songcastTTLSet(irp *wsk.IRP, context any) wsk.NTSTATUS {
	s := context.(*songcast)
	return s.next(irp, "IP_MULTICAST_IF", songcastReady, func(irp *wsk.IRP) wsk.NTSTATUS {
		stack := s.adapt.AsSlice()
		defer scribble(stack)
		var returned uintptr
		return s.socket.ControlSocket(wsk.WskSetOption, wsk.IP_MULTICAST_IF, wsk.IPPROTO_IP, stack, nil, &returned, irp)
	})
}

func songcastReady(irp *wsk.IRP, context any) wsk.NTSTATUS {
	context.(*songcast).ready <- irp.IoStatus.Status
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// TestSongcast: the chain ends with a socket that sends multicast with that TTL through that interface.
//
// Checklist items 16, 17, 37 and 56.
func TestSongcast(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		c := newShort(t, r)
		s := &songcast{audit: &r.audit, npi: &c.npi, adapt: r.a(false), ready: make(chan wsk.NTSTATUS, 1)}
		s.start()
		if status := take(t, "the end of the chain", s.ready); status != wsk.STATUS_SUCCESS {
			t.Fatal(status)
		}
		group := netip.MustParseAddrPort("239.253.1.2:51970")
		receiver := testenv.NewUDPReceiverT(t, r.lab.B.NS, group, testenv.UDPReceiverOptions{
			Groups: []netip.Addr{group.Addr()}, Interface: r.lab.B.If.Index()})
		for i := range 50 {
			if status := c.send(s.socket, pattern(900, i), wsk.NewSockaddr(group)); status != wsk.STATUS_SUCCESS {
				t.Fatal(status)
			}
		}
		got, err := receiver.Wait(testenv.Context(t, waitLimit), 50)
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range got {
			if !bytes.Equal(d.Payload, pattern(900, i)) || d.TTL != 4 || d.Source.Addr() != r.a(false) {
				t.Fatalf("datagram %d: %d bytes from %v, TTL %d", i, len(d.Payload), d.Source, d.TTL)
			}
		}
		c.close(s.socket)
		c.finish()
	})
}
