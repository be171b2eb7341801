// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/account"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

// patience bounds waits for what must not last: without the care that this tests it lasts for ever.
const patience = time.Minute

const (
	failOvers  = 20
	sharedPort = 7400
)

// twoLinks is a lab with a second link. An address of B's is reached by the first while that is up, else by the second.
type twoLinks struct {
	*testenv.Lab
	t      *testing.T
	second *testenv.Iface
	shared netip.Addr
}

func newTwoLinks(t *testing.T) *twoLinks {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	l := &twoLinks{Lab: testenv.NewLabT(t, testenv.Topology{NoIPv6: true}), t: t, shared: netip.MustParseAddr("10.99.0.1")}
	near, far, err := testenv.Connect(l.A.NS, testenv.End{Name: "wsk2", Addrs: []netip.Prefix{netip.MustParsePrefix("10.78.0.1/24")}}, 0,
		l.B.NS, testenv.End{Name: "wsk3", Addrs: []netip.Prefix{netip.MustParsePrefix("10.78.0.2/24")}}, 1500)
	l.must(err)
	l.second = near
	lo, err := testenv.FindIface(l.B.NS, "lo")
	l.must(err)
	l.must(lo.AddAddr(netip.PrefixFrom(l.shared, 32)))
	l.must(near.SetNeighbour(netip.MustParseAddr("10.78.0.2"), far.MAC()))
	l.route(near, "10.78.0.2", 20)
	l.useFirst()
	for _, i := range []*testenv.Iface{l.B.If, far} {
		if err := i.ReceiveInOrder(); errors.Is(err, testenv.ErrNotSupported) {
			t.Log("the receiver may change the order, so that none is judged: ", err)
			l.second = nil
		} else {
			l.must(err)
		}
	}
	return l
}

func (l *twoLinks) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *twoLinks) route(via *testenv.Iface, gateway string, metric int) {
	l.t.Helper()
	h, err := l.A.NS.Netlink()
	l.must(err)
	l.must(h.RouteReplace(&netlink.Route{LinkIndex: via.Index(), Gw: netip.MustParseAddr(gateway).AsSlice(), Priority: metric,
		Dst: netlink.NewIPNet(l.shared.AsSlice())}))
}

// useFirst lets the first link carry, at once: nobody has to be asked for.
func (l *twoLinks) useFirst() {
	l.t.Helper()
	l.must(l.A.If.SetNeighbour(l.B.IPv4(), l.B.If.MAC()))
	l.route(l.A.If, l.B.IPv4().String(), 10)
}

// writer is a client that writes, and what it knows of each datagram.
type writer struct {
	name string
	book *account.Book
	run  func(ctx context.Context)
}

// netconnWriter writes through a net.PacketConn, which waits for each write.
func netconnWriter(t *testing.T, npi *wsk.ProviderNPI, to netip.AddrPort, plan account.Plan) writer {
	conn, err := netconn.Dial(npi, "udp", netip.AddrPort{}, to, netconn.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	book := account.NewBook(plan.Flow, account.NTSTATUSName)
	return writer{"netconn", book, func(ctx context.Context) {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		var b []byte
		for ctx.Err() == nil {
			if plan.Rate != 0 {
				<-tick.C
			}
			seq := book.Begin()
			b = account.Tag{Run: plan.Run, Flow: plan.Flow, Seq: seq}.Append(b[:0], plan.Size)
			if _, err := conn.Write(b); err != nil {
				book.End(seq, account.Refused, uint32(wsk.STATUS_UNSUCCESSFUL))
			} else {
				book.End(seq, account.Sent, uint32(wsk.STATUS_SUCCESS))
			}
		}
	}}
}

// rawWriter passes IRPs, many at a time.
func rawWriter(t *testing.T, npi *wsk.ProviderNPI, to netip.AddrPort, plan account.Plan) writer {
	call := func(pass func(irp *wsk.IRP)) *wsk.IRP {
		irp := wsk.AllocateIRP()
		pass(irp)
		if err := irp.Wait(testenv.Context(t, patience)); err != nil || irp.IoStatus.Status != wsk.STATUS_SUCCESS {
			t.Fatal(err, irp.IoStatus.Status)
		}
		return irp
	}
	s := call(func(irp *wsk.IRP) {
		npi.Socket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	}).IoStatus.Socket
	call(func(irp *wsk.IRP) { s.Bind(wsk.NewSockaddr(netip.AddrPortFrom(netip.IPv4Unspecified(), 0)), 0, irp) })
	t.Cleanup(func() { call(func(irp *wsk.IRP) { s.Close(irp) }) })
	sender := account.NewSender(s, wsk.NewSockaddr(to), plan)
	return writer{"WSK", sender.Book, func(ctx context.Context) { sender.Run(ctx, -1) }}
}

// TestTwentyFailOvers: writers at 1,000 a second and as fast as they can, through net.PacketConn and through WSK, while the link that they
// use goes down again and again. Nothing that was begun waits for a link that stays down, and nothing changes places within a flow.
func TestTwentyFailOvers(t *testing.T) {
	l := newTwoLinks(t)
	ordered := l.second != nil
	dp, err := datapath.Open(datapath.Options{NetNS: l.A.NS.FD(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	l.must(err)
	t.Cleanup(func() { dp.Close() })
	npi := capture(t, dp)
	to := netip.AddrPortFrom(l.shared, sharedPort)
	const run = 0xfa11
	got, err := account.NewKernelReceiver(l.B.NS, netip.AddrPortFrom(netip.IPv4Unspecified(), sharedPort), run, 0)
	l.must(err)
	defer got.Close()
	plan := func(flow uint32, rate, window int) account.Plan {
		return account.Plan{Run: run, Flow: flow, Size: 64, Rate: rate, Window: window}
	}
	writers := []writer{
		netconnWriter(t, npi, to, plan(1, 1000, 1)), netconnWriter(t, npi, to, plan(2, 0, 1)),
		rawWriter(t, npi, to, plan(3, 1000, 64)), rawWriter(t, npi, to, plan(4, 0, 256)),
	}
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	for _, w := range writers {
		work.Go(func() { w.run(ctx) })
	}
	defer work.Wait()
	defer stop()
	each := func(what string, cond func(w writer, begun uint64) bool) {
		t.Helper()
		begun := make([]uint64, len(writers))
		for i, w := range writers {
			begun[i] = uint64(w.book.Len())
		}
		for i, w := range writers {
			testenv.Eventually(t, patience, w.name+": "+what, func() bool { return cond(w, begun[i]) })
		}
	}
	for range failOvers {
		testenv.Eventually(t, patience, "all flows to lead through the first link", func() bool {
			return !slices.ContainsFunc(dp.Flows(), func(f datapath.FlowInfo) bool { return f.Interface != "wsk0" })
		})
		each("datagrams by the first link", func(w writer, begun uint64) bool { return got.Reached(w.book.Flow, begun) })
		l.must(l.A.If.SetDown())
		// The link stays down. What was begun ends, and what comes arrives.
		each("no datagram to be pending", func(w writer, begun uint64) bool { return w.book.Oldest() >= begun })
		each("datagrams by the second link", func(w writer, begun uint64) bool { return got.Reached(w.book.Flow, begun) })
		l.must(l.A.If.StartUp())
		l.useFirst()
	}
	stop()
	work.Wait()
	for _, w := range writers {
		testenv.Eventually(t, patience, "the last datagrams to end", func() bool { return w.book.Pending() == 0 })
		v := account.Judge(w.book, got.Arrivals, &account.Evidence{})
		if ordered && v.Reordered != 0 {
			t.Errorf("%s, flow %d: %d of %d datagrams came behind a later one", w.name, w.book.Flow, v.Reordered, v.Arrived)
		}
		t.Logf("%s, flow %d: %d sent, %d of them with success, %v; none was pending longer than %v", w.name, w.book.Flow, v.Sent, v.OK, v.Failed,
			w.book.LongestWait())
	}
}
