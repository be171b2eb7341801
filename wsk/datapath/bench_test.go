// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// pump sends the same datagram again and again with a ring of IRPs, each used again when it has come back.
type pump struct {
	s    *wsk.Socket
	buf  *wsk.Buf
	to   wsk.SOCKADDR
	irps []pumpIRP
	sent int
	back wsk.CompletionRoutine
}

// pumpIRP is busy while used is ahead of back.
type pumpIRP struct {
	wsk.IRP
	used uint32
	back atomic.Uint32
}

func (irp *pumpIRP) busy() bool { return irp.back.Load() != irp.used }

// ready waits until the IRP is back, and makes it fit for another use.
func (irp *pumpIRP) ready(back wsk.CompletionRoutine) {
	for irp.busy() {
		runtime.Gosched()
	}
	irp.used++
	irp.Reuse(wsk.STATUS_SUCCESS)
	irp.SetCompletionRoutine(back, irp, true, true, true)
}

func newPump(s *wsk.Socket, size int, to wsk.SOCKADDR, window int) *pump {
	return &pump{s: s, buf: whole(pattern(size)), to: to, irps: make([]pumpIRP, window), back: pumpRoutine}
}

func pumpRoutine(_ *wsk.IRP, context any) wsk.NTSTATUS {
	irp := context.(*pumpIRP)
	irp.back.Store(irp.used)
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

func (p *pump) send() {
	irp := &p.irps[p.sent%len(p.irps)]
	p.sent++
	irp.ready(p.back)
	p.s.SendTo(p.buf, 0, p.to, nil, &irp.IRP)
}

// drain waits for the last one.
func (p *pump) drain() {
	for i := range p.irps {
		for p.irps[i].busy() {
			runtime.Gosched()
		}
	}
}

// benchSocket makes sockets of a client over plain memory, each of which has sent once.
func benchSocket(tb testing.TB, queues int, sockets int) []*wsk.Socket {
	return benchSocketOver(tb, queues, sockets, openIdeal).sockets
}

type benchClient struct {
	dp      *Datapath
	sockets []*wsk.Socket
}

func benchSocketOver(tb testing.TB, queues int, sockets int, open func(*device.Device, int) (xdp.Queue, error)) benchClient {
	tb.Helper()
	dp, err := openFake(Options{Queues: queues}, fakeRoutes{}, open)
	if err != nil {
		tb.Fatal(err)
	}
	return benchSockets(tb, dp, wsk.NewSockaddr(netip.MustParseAddrPort(fakeTo)), sockets)
}

// benchSockets makes sockets of a client over a datapath, each of which has sent once.
func benchSockets(tb testing.TB, dp *Datapath, to wsk.SOCKADDR, sockets int) benchClient {
	tb.Helper()
	var ss wsk.Subsystem
	ss.Attach(dp, wsk.ProviderOptions{})
	reg := new(wsk.Registration)
	var npi wsk.ProviderNPI
	ss.Register(&wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}, reg)
	wsk.CaptureProviderNPI(reg, wsk.WSK_NO_WAIT, &npi)
	list := make([]*wsk.Socket, sockets)
	ctx := testenv.Context(tb, waitLimit)
	do := func(f func(irp *wsk.IRP) wsk.NTSTATUS) *wsk.IRP {
		irp := wsk.AllocateIRP()
		f(irp)
		if err := irp.Wait(ctx); err != nil || irp.IoStatus.Status != wsk.STATUS_SUCCESS {
			tb.Fatalf("set-up: %v %v", err, irp.IoStatus.Status)
		}
		return irp
	}
	family, local := uint16(wsk.AF_INET), "0.0.0.0:0"
	if len(to) != 16 {
		family, local = wsk.AF_INET6, "[::]:0"
	}
	for i := range list {
		irp := do(func(irp *wsk.IRP) wsk.NTSTATUS {
			return npi.Socket(family, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
		})
		s := irp.IoStatus.Socket
		list[i] = s
		do(func(irp *wsk.IRP) wsk.NTSTATUS {
			return s.Bind(wsk.NewSockaddr(netip.MustParseAddrPort(local)), 0, irp)
		})
		do(func(irp *wsk.IRP) wsk.NTSTATUS {
			return s.SendTo(whole([]byte("x")), 0, to, nil, irp)
		})
	}
	tb.Cleanup(func() {
		for _, s := range list {
			do(s.Close)
		}
		wsk.ReleaseProviderNPI(reg)
		wsk.Deregister(reg)
		dp.Close()
	})
	return benchClient{dp, list}
}

// TestSendAllocatesNothing: from SendTo to the completion routine and the IRP's next use, nothing is allocated.
//
// Checklist item 75.
func TestSendAllocatesNothing(t *testing.T) {
	s := benchSocket(t, 1, 1)[0]
	to := wsk.NewSockaddr(netip.MustParseAddrPort(fakeTo))
	for _, size := range []int{0, 18, 1472, 1473, 65507} {
		p := newPump(s, size, to, 4)
		if n := testing.AllocsPerRun(1000, p.send); n != 0 {
			t.Errorf("%d bytes: %v allocations per datagram", size, n)
		}
		p.drain()
	}
}

// BenchmarkSendTo is the user-space cost of one datagram, from SendTo to the completion routine, over rings in plain
// memory whose other side costs as little as it can. One IRP at a time: every send kicks and harvests.
func BenchmarkSendTo(b *testing.B) {
	for _, size := range []int{18, 1472} {
		b.Run("size="+strconv.Itoa(size), func(b *testing.B) {
			s := benchSocket(b, 1, 1)[0]
			p := newPump(s, size, wsk.NewSockaddr(netip.MustParseAddrPort(fakeTo)), 4)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				p.send()
			}
			p.drain()
		})
	}
}

// BenchmarkSendMessages is the same for lists of 64 datagrams; the time is that of one datagram.
func BenchmarkSendMessages(b *testing.B) {
	const batch = 64
	for _, size := range []int{18, 1472} {
		b.Run("size="+strconv.Itoa(size), func(b *testing.B) {
			s := benchSocket(b, 1, 1)[0]
			to := wsk.NewSockaddr(netip.MustParseAddrPort(fakeTo))
			nodes := make([]wsk.BufList, batch)
			for i := range nodes {
				nodes[i].Buffer = *whole(pattern(size))
				if i > 0 {
					nodes[i-1].Next = &nodes[i]
				}
			}
			irp := new(pumpIRP)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			sent := 0
			for b.Loop() {
				if sent%batch == 0 {
					irp.ready(pumpRoutine)
					s.SendMessages(&nodes[0], 0, to, nil, &irp.IRP)
				}
				sent++
			}
		})
	}
}

// BenchmarkSendToParallel sends from as many goroutines as there are processors, each over a socket and a queue of its own.
func BenchmarkSendToParallel(b *testing.B) {
	n := runtime.GOMAXPROCS(0)
	sockets := benchSocket(b, n, n)
	next := make(chan *wsk.Socket, n)
	for _, s := range sockets {
		next <- s
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		s := <-next
		p := newPump(s, 18, wsk.NewSockaddr(netip.MustParseAddrPort(fakeTo)), 4)
		for pb.Next() {
			p.send()
		}
		p.drain()
		next <- s
	})
}
