// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// sleeper is a fake socket whose goroutine only wakes for the end, so that the benchmark does its work.
type sleeper struct {
	*xdptest.Kernel
	gone chan struct{}
}

func (w *sleeper) Wait(func() bool) bool { <-w.gone; return false }
func (w *sleeper) Interrupt()            {}
func (w *sleeper) End()                  { close(w.gone) }

// BenchmarkReceiveEvent is the user-space cost of a datagram from the RX ring to the event callback and back to the
// fill ring, in batches of 64 over rings in plain memory. What the fake kernel takes, a copy of the frame above all,
// is in it.
func BenchmarkReceiveEvent(b *testing.B) {
	for _, size := range []int{18, 1472} {
		b.Run("size="+strconv.Itoa(size), func(b *testing.B) { benchmarkReceive(b, size) })
	}
}

func benchmarkReceive(b *testing.B, size int) {
	const port = 7975
	k, err := xdptest.New(xdptest.Config{RxChunks: 512, TxChunks: 8, TxRing: 8})
	if err != nil {
		b.Fatal(err)
	}
	hub := newHub(b, fakeHost)
	in, _ := addIntake(b, hub)
	q := NewQueue(in, 0)
	start(b, q, &sleeper{k, make(chan struct{})})
	got := countEvents(b, hub, port)
	frame := fakeFrame(b, port, make([]byte, size))
	r := q.current()
	eventually(b, "the goroutine to sleep", func() bool { return r.chunks().Asleep })
	b.SetBytes(int64(size))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if !k.Receive(frame) {
			b.Fatal("no room")
		}
		if n++; n%batchFrames == 0 {
			r.look()
			r.out.Flush()
			r.refill(false)
		}
	}
	r.look()
	r.out.Flush()
	if *got != n {
		b.Errorf("%d of %d delivered", *got, n)
	}
}

// transport is a wsk.Transport whose endpoints only receive.
type transport struct{ hub *Hub }

type endpoint struct {
	transport
	sink *Sink
}

func (x transport) OpenEndpoint(_ uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	return &endpoint{x, x.hub.NewSink(events.(wsk.Receiver))}, wsk.STATUS_SUCCESS
}

func (ep *endpoint) Bind(req wsk.BindRequest, done func(netip.AddrPort, wsk.NTSTATUS)) {
	ep.sink.SetLocal(req.Local, req.DualStack)
	ep.sink.Open()
	ep.hub.Register(ep.sink)
	done(req.Local, wsk.STATUS_SUCCESS)
}

func (ep *endpoint) Close(done func()) { ep.hub.Unregister(ep.sink); done() }

func (ep *endpoint) Send(*wsk.SendOp)                            {}
func (ep *endpoint) MTU(*wsk.Destination) (int, wsk.NTSTATUS)    { return 1500, wsk.STATUS_SUCCESS }
func (ep *endpoint) Abort()                                      {}
func (ep *endpoint) Configure(wsk.ReceiveOptions)                {}
func (ep *endpoint) Change(wsk.Membership) (status wsk.NTSTATUS) { return wsk.STATUS_NOT_SUPPORTED }

// newSocket binds a WSK socket over a hub; callback is called for its events, if there is one.
func newSocket(tb testing.TB, hub *Hub, port uint16, callback func(list *wsk.DatagramIndication)) *wsk.Socket {
	tb.Helper()
	var sub wsk.Subsystem
	var reg wsk.Registration
	var npi wsk.ProviderNPI
	sub.Attach(transport{hub}, wsk.ProviderOptions{})
	sub.Register(&wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}, &reg)
	wsk.CaptureProviderNPI(&reg, wsk.WSK_NO_WAIT, &npi)
	dispatch := &wsk.ClientDatagramDispatch{}
	if callback != nil {
		dispatch.ReceiveFromEvent = func(_ any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
			callback(list)
			return wsk.STATUS_SUCCESS
		}
	}
	irp := wsk.AllocateIRP()
	wait := func() wsk.IOStatusBlock {
		tb.Helper()
		_ = irp.Wait(testenv.Context(tb, waitLimit))
		if irp.IoStatus.Status != wsk.STATUS_SUCCESS {
			tb.Fatal(irp.IoStatus.Status)
		}
		return irp.IoStatus
	}
	npi.Socket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, dispatch, nil, nil, nil, irp)
	s := wait().Socket
	tb.Cleanup(func() {
		end := wsk.AllocateIRP()
		s.Close(end)
		_ = end.Wait(testenv.Context(tb, waitLimit))
		wsk.ReleaseProviderNPI(&reg)
		wsk.Deregister(&reg)
	})
	irp.Reuse(wsk.STATUS_SUCCESS)
	s.Bind(wsk.NewSockaddr(netip.AddrPortFrom(netip.IPv4Unspecified(), port)), 0, irp)
	wait()
	return s
}

// countEvents binds a WSK socket whose callback counts.
func countEvents(b *testing.B, hub *Hub, port uint16) (got *int) {
	b.Helper()
	got = new(int)
	s := newSocket(b, hub, port, func(list *wsk.DatagramIndication) {
		for ; list != nil; list = list.Next {
			*got++
		}
	})
	if status := s.ControlSocket(wsk.WskSetOption, wsk.SO_WSK_EVENT_CALLBACK, wsk.SOL_SOCKET,
		wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM), nil, nil, nil); status != wsk.STATUS_SUCCESS {
		b.Fatal(status)
	}
	return got
}
