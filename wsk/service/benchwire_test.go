// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// underWay is how many SENDs of 64 datagrams a client of the benchmark has under way.
const underWay = 4

// BenchmarkWire is a datagram over a veth pair to a socket that is not there: through the lane of the daemon, 64 a
// message and four messages under way, and by SendTo in this process.
func BenchmarkWire(b *testing.B) {
	for _, size := range []int{18, 1472} {
		name := map[int]string{18: "18", 1472: "1472"}[size]
		b.Run("lane/"+name, func(b *testing.B) { benchLane(b, size) })
		b.Run("wsk/"+name, func(b *testing.B) { benchSendTo(b, size) })
	}
}

func benchLane(b *testing.B, size int) {
	w := newWire(b, generous)
	c := w.hello()
	c.open(1, netip.AddrPortFrom(w.lab.A.IPv4(), 0).String())
	entries := make([]ipc.Entry, ipc.MaxBatch)
	for i := range entries {
		entries[i] = entry(uint32(i), netip.AddrPortFrom(w.lab.B.IPv4(), 9).String())
	}
	payload := string(make([]byte, size))
	c.send(1, payload, entries[0])
	var msgs [underWay][]byte
	for i := range msgs {
		msgs[i] = append([]byte(nil), c.sendRequest(1, payload, entries...)...)
	}
	var d ipc.Done
	b.ReportAllocs()
	defer reportCPU(b)()
	b.ResetTimer()
	for _, m := range msgs {
		c.write(m)
	}
	for done := 0; done < b.N; {
		n, err := c.conn.Read(c.buf)
		if err != nil {
			b.Fatal(err)
		}
		h, body, err := ipc.ParseAnswer(c.buf[:n])
		if err != nil || h.Type != ipc.TypeSend.Reply() || d.Decode(body) != nil {
			continue
		}
		done += len(d.Completions())
		if d.Left == 0 {
			c.write(msgs[h.Seq%underWay]) // the same number is free again
		}
	}
}

// reportCPU adds what the process has used of processors, both sides of the lane together, which says more than the
// clock on a machine that is busy.
func reportCPU(b *testing.B) func() {
	before := cpuTime()
	return func() { b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op") }
}

func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchSendTo sends by SendTo in this process.
func benchSendTo(b *testing.B, size int) {
	testenv.Require(b, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(b, testenv.Topology{})
	dp, err := datapath.Open(datapath.Options{NetNS: lab.A.NS.FD()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { dp.Close() })
	s := directSocket(b, dp, netip.AddrPortFrom(lab.A.IPv4(), 0))
	to := wsk.NewSockaddr(netip.AddrPortFrom(lab.B.IPv4(), 9))
	buf := wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, size)), Length: uintptr(size)}
	free := make(chan *wsk.IRP, underWay*ipc.MaxBatch)
	routine := func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
		free <- irp
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}
	for range cap(free) {
		free <- wsk.AllocateIRP()
	}
	b.ReportAllocs()
	defer reportCPU(b)()
	b.ResetTimer()
	for range b.N {
		irp := <-free
		irp.Reuse(wsk.STATUS_SUCCESS)
		irp.SetCompletionRoutine(routine, nil, true, true, true)
		s.SendTo(&buf, 0, to, nil, irp)
	}
	for range cap(free) {
		<-free
	}
}

// directSocket is a socket of this process, closed at the end of the test.
func directSocket(t testing.TB, dp wsk.Transport, local netip.AddrPort) *wsk.Socket {
	t.Helper()
	var ss wsk.Subsystem
	reg, npi := new(wsk.Registration), wsk.ProviderNPI{}
	ss.Attach(dp, wsk.ProviderOptions{})
	ss.Register(&wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}, reg)
	wsk.CaptureProviderNPI(reg, wsk.WSK_NO_WAIT, &npi)
	call := func(f func(*wsk.IRP)) *wsk.IRP {
		irp := wsk.AllocateIRP()
		f(irp)
		if err := irp.Wait(testenv.Context(t, patience)); err != nil || irp.IoStatus.Status != wsk.STATUS_SUCCESS {
			t.Fatal(err, irp.IoStatus.Status)
		}
		return irp
	}
	s := call(func(irp *wsk.IRP) {
		npi.Socket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	}).IoStatus.Socket
	call(func(irp *wsk.IRP) { s.Bind(wsk.NewSockaddr(local), 0, irp) })
	t.Cleanup(func() {
		call(func(irp *wsk.IRP) { s.Close(irp) })
		wsk.ReleaseProviderNPI(reg)
		wsk.Deregister(reg)
	})
	return s
}
