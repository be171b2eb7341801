// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// mirroredRoutes are the routes of a namespace as its mirror has them, over a device and neighbours that are made up.
type mirroredRoutes struct {
	fakeRoutes
	table *route.Table
}

func (r mirroredRoutes) Generation() uint64 { return r.table.Generation() }

func (r mirroredRoutes) Resolve(ctx context.Context, q route.Query) (route.Hop, error) {
	return r.ResolveStanding(ctx, q, new(route.Standing))
}

func (r mirroredRoutes) ResolveStanding(ctx context.Context, q route.Query, on *route.Standing) (route.Hop, error) {
	hop, err := r.table.ResolveStanding(ctx, q, on)
	hop.Device, hop.Interface = fakeDevice, fakeDevice.Index
	return hop, err
}

func (r mirroredRoutes) Stands(on *route.Standing) bool       { return r.table.Stands(on) }
func (r mirroredRoutes) StandsAside(on *route.Standing) bool  { return r.table.StandsAside(on) }
func (r mirroredRoutes) LeadOf(on *route.Standing) route.Lead { return r.table.LeadOf(on) }
func (r mirroredRoutes) Leads(q route.Query) route.Leads      { return r.table.Leads(q) }
func (r mirroredRoutes) Asked() map[string]uint64             { return r.table.Asked() }
func (r mirroredRoutes) FlowLabels(src netip.AddrPort) route.FlowLabels {
	return r.table.FlowLabels(src)
}

// throughGateway is a client over plain memory, in whose namespace all leads through one gateway, and its socket.
func throughGateway(tb testing.TB, is4 bool) (benchClient, wsk.SOCKADDR) {
	tb.Helper()
	lab, err := testenv.NewLab(testenv.Topology{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { lab.Close() })
	h, err := lab.A.NS.Netlink()
	if err != nil {
		tb.Fatal(err)
	}
	gateway, all, first := lab.B.IPv4(), "0.0.0.0/0", "198.51.100.1:9"
	if !is4 {
		gateway, all, first = lab.B.IPv6(), "::/0", "[2001:db8::1]:9"
	}
	_, dst, _ := net.ParseCIDR(all)
	if err := h.RouteAdd(&netlink.Route{LinkIndex: lab.A.If.Index(), Dst: dst, Gw: gateway.AsSlice()}); err != nil {
		tb.Fatal(err)
	}
	table, err := route.Open(route.Options{Mirror: true, NetNS: lab.A.NS.FD()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { table.Close() })
	to := netip.MustParseAddrPort(first)
	dst16 := to.Addr().As16()
	testenv.Eventually(tb, waitLimit, "the mirror", func() bool {
		lead, _, _ := table.Leads(route.Query{Dst: to.Addr()})(&dst16, 9)
		return lead.IsValid()
	})
	dp, err := openFake(Options{}, mirroredRoutes{table: table}, openIdeal)
	if err != nil {
		tb.Fatal(err)
	}
	return benchSockets(tb, dp, wsk.NewSockaddr(to), 1), wsk.NewSockaddr(to)
}

// readdress makes a SOCKADDR one of n destinations behind the gateway.
func readdress(to wsk.SOCKADDR, i, n uint32) {
	i %= n
	if len(to) == 16 {
		binary.BigEndian.PutUint32(to[4:], 198<<24|51<<16|100<<8|1+i)
		return
	}
	binary.BigEndian.PutUint32(to[20:], 1+i)
}

// TestSendToNewAllocatesNothing: once a next hop is known, a datagram to whomever is behind it allocates nothing.
func TestSendToNewAllocatesNothing(t *testing.T) {
	for _, is4 := range []bool{true, false} {
		c, to := throughGateway(t, is4)
		p := newPump(c.sockets[0], 18, to, 4)
		i := uint32(0)
		if n := testing.AllocsPerRun(1000, func() { i++; readdress(to, i, 1<<20); p.send() }); n != 0 {
			t.Errorf("IPv4 %v: %v allocations per datagram", is4, n)
		}
		p.drain()
	}
}

// TestMillionDestinationsHeap: a socket that has sent to a million destinations holds hardly more memory than one that has sent to one.
func TestMillionDestinationsHeap(t *testing.T) {
	many := uint32(1_000_000)
	if raceEnabled {
		many = 20_000
	}
	for _, is4 := range []bool{true, false} {
		c, to := throughGateway(t, is4)
		p := newPump(c.sockets[0], 18, to, 64)
		for range 1000 {
			p.send()
		}
		p.drain()
		heap := func() int64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before := heap()
		for i := range many {
			readdress(to, i, many)
			p.send()
		}
		p.drain()
		grown := heap() - before
		t.Logf("IPv4 %v: %d KiB", is4, grown>>10)
		if grown > 4<<20 {
			t.Errorf("IPv4 %v: the heap has grown by %d KiB for %d destinations", is4, grown>>10, many)
		}
	}
}

// BenchmarkSendToDestinations is BenchmarkSendToLoaded, to some of many destinations behind one gateway at random. cpu-ns/op is the time
// of the processor, on a machine that has other work.
func BenchmarkSendToDestinations(b *testing.B) {
	for _, is4 := range []bool{true, false} {
		for _, many := range []uint32{1, 16, 1000, 1_000_000} {
			b.Run("ipv4="+strconv.FormatBool(is4)+"/destinations="+strconv.Itoa(int(many)), func(b *testing.B) {
				c, to := throughGateway(b, is4)
				var q *send.Queue
				c.dp.devices.EachQueue(func(only *send.Queue) { q = only })
				testenv.Eventually(b, waitLimit, "the poller to sleep", func() bool { return send.Asleep(q) })
				send.PinGear(q, true)
				defer send.PinGear(q, false)
				buf := whole(pattern(18))
				irps := make([]wsk.IRP, 2*send.Burst)
				sent, back := 0, 0
				routine := func(_ *wsk.IRP, context any) wsk.NTSTATUS {
					*context.(*int)++
					return wsk.STATUS_MORE_PROCESSING_REQUIRED
				}
				random := rand.New(rand.NewPCG(1, 2))
				b.ReportAllocs()
				before := cpuTime(b)
				for b.Loop() {
					irp := &irps[sent%len(irps)]
					sent++
					irp.Reuse(wsk.STATUS_SUCCESS)
					irp.SetCompletionRoutine(routine, &back, true, true, true)
					readdress(to, random.Uint32(), many)
					c.sockets[0].SendTo(buf, 0, to, nil, irp)
				}
				send.Kick(q)
				b.ReportMetric(float64(cpuTime(b)-before)/float64(sent), "cpu-ns/op")
				if back != sent {
					b.Errorf("%d sent, %d back", sent, back)
				}
			})
		}
	}
}
