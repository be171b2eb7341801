// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// full is prefix number i of a table like the Internet's: most are /24, some shorter; those of IPv6 are /48.
func full(i int, six bool) netip.Prefix {
	if six {
		b := [16]byte{0x20, 1}
		binary.BigEndian.PutUint32(b[2:], uint32(i)*2654435761>>8)
		return netip.PrefixFrom(netip.AddrFrom16(b), 48).Masked()
	}
	bits := 24
	if i%16 == 0 {
		bits = 22
	}
	b := [4]byte{}
	binary.BigEndian.PutUint32(b[:], 20<<24+uint32(i)<<8)
	return netip.PrefixFrom(netip.AddrFrom4(b), bits).Masked()
}

// gateways is how many next hops the routes of a benchmark have.
const gateways = 100

func fullRoute(i int, six bool, device int) wire {
	p := full(i, six)
	gateway := netip.AddrFrom4([4]byte{10, 0, 0, byte(2 + i%gateways)})
	if six {
		gateway = netip.AddrFrom16([16]byte{0xfd, 15: byte(2 + i%gateways)})
	}
	return wire{familyOf(six), uint8(p.Bits()), 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BGP, 0, unix.RTN_UNICAST}.u32(0).
		addr(unix.RTA_DST, p.Addr()).attr32(unix.RTA_OIF, uint32(device)).addr(unix.RTA_GATEWAY, gateway)
}

// plainModel has a device with addresses, the rules that a namespace begins with, and routes.
func plainModel(routes int, six bool) *model {
	m := newModel()
	v := vectors()
	m.apply(v["device"].typ, 0, v["device"].body)
	m.setAddresses([]address{
		{ip: netip.MustParseAddr("10.0.0.1"), prefix: netip.MustParsePrefix("10.0.0.0/24"), device: 2},
		{ip: netip.MustParseAddr("fd00::1"), prefix: netip.MustParsePrefix("fd00::/64"), device: 2},
	})
	m.addresses.recount()
	for f := range m.rules {
		for i, table := range []uint32{unix.RT_TABLE_LOCAL, unix.RT_TABLE_MAIN, unix.RT_TABLE_DEFAULT} {
			m.rules[f] = append(m.rules[f], rule{priority: uint32(i), action: unix.FR_ACT_TO_TBL, table: table, suppress: -1})
		}
	}
	local := wire{unix.AF_INET, 32, 0, 0, unix.RT_TABLE_LOCAL, unix.RTPROT_KERNEL, unix.RT_SCOPE_HOST, unix.RTN_LOCAL}.u32(0).
		addr(unix.RTA_DST, netip.MustParseAddr("10.0.0.1")).attr32(unix.RTA_OIF, 2)
	m.apply(unix.RTM_NEWROUTE, 0, local)
	for i := range routes {
		m.apply(unix.RTM_NEWROUTE, 0, fullRoute(i, six, 2))
	}
	return m
}

func within(rnd *rand.Rand, p netip.Prefix) netip.Addr {
	if p.Addr().Is4() {
		b := p.Addr().As4()
		b[3] = byte(rnd.Uint32())
		return netip.AddrFrom4(b)
	}
	b := p.Addr().As16()
	b[15] = byte(rnd.Uint32())
	return netip.AddrFrom16(b)
}

func BenchmarkLookup(b *testing.B) {
	for _, six := range []bool{false, true} {
		for _, routes := range []int{10, 1_000_000} {
			b.Run(fmt.Sprintf("six=%v/routes=%d", six, routes), func(b *testing.B) {
				s := plainModel(routes, six).snapshot()
				rnd := rand.New(rand.NewPCG(1, 0))
				queries := make([]Query, 1<<16)
				for i := range queries {
					queries[i].Dst = within(rnd, full(rnd.IntN(routes), six))
				}
				each := func(b *testing.B, look func(*Query) (Result, Reason)) {
					b.ReportAllocs()
					n := 0
					for b.Loop() {
						if _, ask := look(&queries[n&(len(queries)-1)]); ask != Answered {
							b.Fatal(ask, queries[n&(len(queries)-1)])
						}
						n++
					}
				}
				b.Run("single", func(b *testing.B) { each(b, s.Lookup) })
				p := s.Prepare(Query{}, six)
				b.Run("planned", func(b *testing.B) { each(b, func(q *Query) (Result, Reason) { return lookup(p, q.Dst, q.DstPort) }) })
			})
		}
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	for _, six := range []bool{false, true} {
		s := plainModel(100, six).snapshot()
		q := Query{Dst: within(rand.New(rand.NewPCG(1, 0)), full(7, six))}
		if n := testing.AllocsPerRun(100, func() {
			if _, ask := s.Lookup(&q); ask != Answered {
				t.Error(ask)
			}
		}); n != 0 {
			t.Errorf("IPv6 %v: %v allocations", six, n)
		}
	}
}

// BenchmarkMillion opens a mirror beside a table of a million routes. It reports the heap that the mirror takes, the
// time from its start to the first answer, and from the request for a change to its effect.
func BenchmarkMillion(b *testing.B) {
	testenv.Require(b, testenv.NetNS)
	for _, six := range []bool{false, true} {
		b.Run(fmt.Sprintf("six=%v", six), func(b *testing.B) { benchmarkMillion(b, six) })
	}
}

func benchmarkMillion(b *testing.B, six bool) {
	const routes = 1_000_000
	ns, device := fullNamespace(b, routes, six)
	t := newTalk(b, ns)
	q := Query{Dst: full(12345, six).Addr().Next()}
	for b.Loop() {
		before := heap()
		user, system := cpuTime(b)
		begun := time.Now()
		m := openIn(b, ns, Options{ReceiveBuffer: 4 << 20, LearnedEvery: time.Hour})
		wait := func(cond func() bool) time.Duration {
			for !cond() {
				time.Sleep(100 * time.Microsecond)
			}
			return time.Since(begun)
		}
		b.ReportMetric(wait(func() bool { _, ask := m.Snapshot().Lookup(&q); return ask == Answered }).Seconds()*1e3, "ms/first")
		// What the kernel does and what is done here goes on side by side where there are two processors.
		u, k := cpuTime(b)
		b.ReportMetric((u-user).Seconds()*1e3, "ms-user/first")
		b.ReportMetric((k-system).Seconds()*1e3, "ms-kernel/first")
		b.ReportMetric(float64(heap()-before)/(1<<20), "MiB")
		var sum, worst time.Duration
		const changes = 200
		for i := range changes {
			p := full(routes+2+i, six)
			probe := Query{Dst: p.Addr().Next()}
			body := fullRoute(routes+2+i, six, device)
			begun = time.Now()
			must(b, t.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, body, nil))
			took := wait(func() bool { _, ask := m.Snapshot().Lookup(&probe); return ask == Answered })
			sum, worst = sum+took, max(worst, took)
			must(b, t.do(unix.RTM_DELROUTE, 0, body, nil))
			wait(func() bool { _, ask := m.Snapshot().Lookup(&probe); return ask == NoRoute })
		}
		b.ReportMetric(float64(sum.Microseconds())/changes/1e3, "ms/change")
		b.ReportMetric(float64(worst.Microseconds())/1e3, "ms/worst")
		m.Close()
	}
}

// cpuTime is that of this process so far.
func cpuTime(b *testing.B) (user, system time.Duration) {
	var u unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// fullNamespace has one device and as many routes.
func fullNamespace(b testing.TB, routes int, six bool) (ns *testenv.Namespace, device int) {
	b.Helper()
	ns = testenv.NewNamespaceT(b)
	h, err := ns.Netlink()
	must(b, err)
	must(b, h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "full"}, PeerName: "end"}))
	for _, name := range []string{"end", "full"} {
		l, err := h.LinkByName(name)
		must(b, err)
		must(b, h.LinkSetUp(l))
		device = l.Attrs().Index
	}
	k := newTalk(b, ns)
	for _, p := range []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fd00::1/64")} {
		body := wire{familyOf(p.Addr().Is6()), uint8(p.Bits()), unix.IFA_F_NODAD & 0xff, 0}.u32(uint32(device))
		must(b, k.do(unix.RTM_NEWADDR, unix.NLM_F_CREATE, body.addr(unix.IFA_LOCAL, p.Addr()).addr(unix.IFA_ADDRESS, p.Addr()), nil))
	}
	var batch []byte
	for i := range routes {
		batch = k.request(batch, unix.RTM_NEWROUTE, unix.NLM_F_CREATE, fullRoute(i, six, device))
		if len(batch) > 30<<10 || i == routes-1 {
			must(b, unix.Sendto(k.fd, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
			batch = batch[:0]
		}
	}
	must(b, k.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, fullRoute(routes+1, six, device), nil)) // after all of them
	return ns, device
}
