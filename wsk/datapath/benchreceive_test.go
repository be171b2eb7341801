// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// sleeper is a waiter whose goroutine only wakes for the end, so that the benchmark does its work.
type sleeper struct{ gone chan struct{} }

func (w *sleeper) Wait(func() bool) bool { <-w.gone; return false }
func (w *sleeper) End()                  { close(w.gone) }

// BenchmarkReceiveEvent is the user-space cost of a datagram from the RX ring to the event callback and back to the fill ring, in
// batches of 64 over rings in plain memory. What the fake kernel takes, a copy of the frame above all, is in it.
func BenchmarkReceiveEvent(b *testing.B) {
	for _, size := range []int{18, 1472} {
		b.Run("size="+strconv.Itoa(size), func(b *testing.B) { benchmarkReceive(b, size) })
	}
}

func benchmarkReceive(b *testing.B, size int) {
	var k *xdptest.Kernel
	dp, err := openFake(Options{}, fakeRoutes{}, func(*device.Device, int) (_ xdp.Queue, err error) {
		k, err = xdptest.New(xdptest.Config{RxChunks: 512, TxChunks: 8, TxRing: 8})
		return k, err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { dp.Close() })
	dp.hub.NewWaiter = func(xdp.Queue) (receive.Waiter, error) { return &sleeper{make(chan struct{})}, nil }
	s := fakeReceiver(b, dp)
	socket, got := benchReceiver(b, dp)
	frame := fakeFrame(b, socket, make([]byte, size))
	testenv.Eventually(b, waitLimit, "the goroutine to sleep", func() bool {
		s.FillMu.Lock()
		defer s.FillMu.Unlock()
		return s.Idle
	})
	b.SetBytes(int64(size))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if !k.Receive(frame) {
			b.Fatal("no room")
		}
		if n++; n%receive.BatchFrames == 0 {
			s.Step()
			s.Out.Flush()
			s.Settle(false)
		}
	}
	s.Step()
	s.Out.Flush()
	if *got != n {
		b.Errorf("%d of %d delivered", *got, n)
	}
}

// benchReceiver is the port of a bound socket whose callback counts.
func benchReceiver(b *testing.B, dp *Datapath) (port uint16, got *int) {
	var sub wsk.Subsystem
	var reg wsk.Registration
	var npi wsk.ProviderNPI
	sub.Attach(dp, wsk.ProviderOptions{})
	sub.Register(&wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}, &reg)
	wsk.CaptureProviderNPI(&reg, wsk.WSK_NO_WAIT, &npi)
	got = new(int)
	dispatch := &wsk.ClientDatagramDispatch{ReceiveFromEvent: func(_ any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
		for ; list != nil; list = list.Next {
			*got++
		}
		return wsk.STATUS_SUCCESS
	}}
	irp := wsk.AllocateIRP()
	wait := func() wsk.IOStatusBlock {
		b.Helper()
		_ = irp.Wait(b.Context())
		if irp.IoStatus.Status != wsk.STATUS_SUCCESS {
			b.Fatal(irp.IoStatus.Status)
		}
		return irp.IoStatus
	}
	npi.Socket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, dispatch, nil, nil, nil, irp)
	s := wait().Socket
	b.Cleanup(func() {
		end := wsk.AllocateIRP()
		s.Close(end)
		_ = end.Wait(testenv.Context(b, waitLimit))
		wsk.ReleaseProviderNPI(&reg)
		wsk.Deregister(&reg)
	})
	irp.Reuse(wsk.STATUS_SUCCESS)
	s.Bind(wsk.NewSockaddr(netip.MustParseAddrPort("0.0.0.0:0")), 0, irp)
	wait()
	if status := s.ControlSocket(wsk.WskSetOption, wsk.SO_WSK_EVENT_CALLBACK, wsk.SOL_SOCKET,
		wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM), nil, nil, nil); status != wsk.STATUS_SUCCESS {
		b.Fatal(status)
	}
	local := make(wsk.SOCKADDR, wsk.SizeofSockaddrIn)
	irp.Reuse(wsk.STATUS_SUCCESS)
	s.GetLocalAddress(local, irp)
	wait()
	ap, _ := local.AddrPort()
	return ap.Port(), got
}
