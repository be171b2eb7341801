// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/account"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

func routed(t *testenv.Topology) { t.Shape = testenv.Routed }

func routeFaults() []*Fault {
	forbid := func(kind int) func(*world) error {
		return func(w *world) error {
			return steps(func() error { return prohibit(w.lab.A.If, host(w.to), kind, true) }, lasting(100*time.Millisecond),
				func() error { return prohibit(w.lab.A.If, host(w.to), kind, false) })
		}
	}
	return []*Fault{
		{Name: "route deleted", Dir: Send, About: "The default route goes for 0.1 s.", topology: routed, do: func(w *world) error {
			gateway := w.lab.Gateway(w.lab.A, w.to)
			return steps(func() error { return w.lab.A.If.DeleteRoute(netip.Prefix{}, gateway) }, lasting(100*time.Millisecond),
				func() error { return w.lab.A.If.AddRoute(netip.Prefix{}, gateway) })
		}},
		{Name: "route replaced", harmless: true, Dir: Send, twoLinks: true, About: "The route changes between two links ten times.", do: func(w *world) error {
			return times(5, func() error {
				return steps(func() error { return w.route(w.second[0], viaB2, 10) }, lasting(20*time.Millisecond),
					func() error { return w.route(w.lab.A.If, viaB1, 10) }, lasting(20*time.Millisecond))
			})()
		}},
		{Name: "route unreachable", Dir: Send, About: "An unreachable route covers the destination for 0.1 s.", do: forbid(unix.RTN_UNREACHABLE)},
		{Name: "route prohibit", Dir: Send, About: "A prohibit route covers the destination for 0.1 s.", do: forbid(unix.RTN_PROHIBIT)},
		{Name: "route blackhole", Dir: Send, About: "A blackhole route covers the destination for 0.1 s.", do: forbid(unix.RTN_BLACKHOLE)},
		{Name: "routes flap", harmless: true, Dir: Send, About: "A more specific route through the other link comes and goes a hundred times, and a hundred that do not matter.",
			twoLinks: true, do: func(w *world) error {
				n := 0
				return times(100, func() error {
					n++
					other := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 90, byte(n), 0}), 24)
					return steps(func() error { return w.route(w.second[0], viaB2, 5) }, func() error { return w.lab.A.If.AddRoute(other, viaB1) },
						func() error { return w.unroute(w.second[0], viaB2, 5) })
				})()
			}},
	}
}

func failoverFaults() []*Fault {
	link := func(n int) func(*world) error {
		return func(w *world) error {
			return times(n, func() error {
				return steps(w.lab.A.If.SetDown, lasting(200*time.Millisecond), w.lab.A.If.SetUp,
					func() error { return w.route(w.lab.A.If, viaB1, 10) }, lasting(50*time.Millisecond))
			})()
		}
	}
	stays := func(w *world) error { return w.lab.A.If.SetDown() }
	full := func(p *account.Plan) { p.Rate, p.Window = 0, 2048 }
	narrow := func(p *account.Plan) { p.Rate = 1000 }
	return []*Fault{
		{Name: "fail-over by route", harmless: true, Dir: Send, twoLinks: true, About: "The better route goes; the other link carries.", do: func(w *world) error {
			return w.unroute(w.lab.A.If, viaB1, 10)
		}},
		{Name: "fail-over by link, first stays down", Dir: Send, twoLinks: true, About: "The first link goes down and stays so; the other carries.",
			do: stays},
		{Name: "fail-over by link, full rate", Dir: Send, twoLinks: true, plan: full,
			About: "The same with a sender that sends as fast as it can.", do: stays},
		{Name: "fail-over by link, five times", Dir: Send, twoLinks: true, plan: narrow, About: "The first link goes down and comes back five times.",
			do: link(5)},
		{Name: "fail-over by link, twenty times", Dir: Send, twoLinks: true, plan: narrow, do: twentyFailOvers, check: promptInOrder,
			About: "1,000 datagrams a second; the first link goes down twenty times. What was begun ends while it is down, all in order."},
		{Name: "fail-over by link, twenty times, full rate", Dir: Send, twoLinks: true, plan: full, do: twentyFailOvers, check: promptInOrder,
			About: "The same with a sender that sends as fast as it can."},
		{Name: "fail-over by deletion", Dir: Send, twoLinks: true, About: "The first device is deleted for good; the other carries.", do: (*world).remove},
		{Name: "fail-over by carrier", Dir: Send, twoLinks: true, About: "The first link loses its carrier; then its route goes.",
			do: func(w *world) error {
				return steps(w.lab.B.If.SetDown, lasting(100*time.Millisecond), func() error { return w.unroute(w.lab.A.If, viaB1, 10) })
			}},
		{Name: "comes by the other link", Dir: Receive, twoLinks: true, About: "The sender changes to a link without XDP and back.",
			do: func(w *world) error {
				h, err := w.lab.B.NS.Netlink()
				if err != nil {
					return err
				}
				r := routeVia(w.second[1], host(w.to), netip.MustParseAddr("10.78.0.1"))
				return steps(func() error { return h.RouteAdd(r) }, lasting(100*time.Millisecond), func() error { return h.RouteDel(r) })
			}},
	}
}

var wrongMAC = net.HardwareAddr{2, 0x99, 0, 0, 0, 1}

func neighbourFaults() []*Fault {
	from := func(w *world) *testenv.Iface { // who asks
		if w.fault.Dir == Receive {
			return w.lab.B.If
		}
		return w.lab.A.If
	}
	to := func(w *world) *testenv.Iface {
		if w.fault.Dir == Receive {
			return w.lab.A.If
		}
		return w.lab.B.If
	}
	deleted := func(w *world) error {
		return times(30, func() error {
			return steps(func() error { _ = from(w).DeleteNeighbour(w.to); return nil }, lasting(5*time.Millisecond)) // it may not be back yet
		})()
	}
	change := func(w *world) error {
		mac := net.HardwareAddr{2, 0x77, 0, 0, 0, 0x9b}
		return steps(func() error { return to(w).SetMAC(mac) }, func() error { return from(w).DeleteNeighbour(w.to) }, lasting(50*time.Millisecond))
	}
	wrong := func(w *world) error {
		return steps(func() error { return from(w).SetNeighbour(w.to, wrongMAC) }, lasting(50*time.Millisecond),
			func() error { return from(w).DeleteNeighbour(w.to) })
	}
	var out []*Fault
	for _, f := range []Fault{
		{Name: "neighbour deleted", harmless: true, About: "The neighbour's entry is deleted thirty times.", do: deleted},
		{Name: "neighbour changes its address", harmless: true, About: "The other end gets another MAC address, and its entry is deleted.", do: change},
		{Name: "neighbour with a wrong address", harmless: true, About: "For 50 ms the neighbour's entry has a MAC address that nobody has.", do: wrong},
	} {
		out = append(out, both(f)...)
	}
	return append(out,
		&Fault{Name: "neighbour silent", Dir: Send, About: "The neighbour is forgotten and answers nobody for 1.5 s.", do: func(w *world) error {
			return steps(w.lab.B.If.Silence, func() error { return w.lab.A.If.DeleteNeighbour(w.to) }, lasting(1500*time.Millisecond), w.lab.B.If.Speak)
		}},
		&Fault{Name: "neighbour silent, given up", Dir: Send, About: "The neighbour is forgotten and answers nobody for 4 s.",
			plan: func(p *account.Plan) { p.Rate = 400 }, do: func(w *world) error {
				return steps(w.lab.B.If.Silence, func() error { return w.lab.A.If.DeleteNeighbour(w.to) }, lasting(4*time.Second), w.lab.B.If.Speak)
			}},
		&Fault{Name: "neighbour stale", harmless: true, Dir: Send, About: "The neighbour's entry becomes stale with a MAC address that nobody has.",
			do: func(w *world) error {
				return steps(func() error { return setStale(w.lab.A.If, w.to, wrongMAC) }, lasting(50*time.Millisecond),
					func() error { return w.lab.A.If.DeleteNeighbour(w.to) })
			}},
		&Fault{Name: "300 silent neighbours", harmless: true, steady: true, Dir: Send, About: "The same socket sends to 300 addresses that nobody has.", do: silentCrowd},
		&Fault{Name: "300 silent neighbours, slow path", harmless: true, steady: true, Dir: Send, topology: slow, do: silentCrowd,
			About: "The same socket sends to 300 addresses that nobody has, through the kernel's stack."},
		&Fault{Name: "dead peers beside", harmless: true, steady: true, Dir: Send, do: deadPeers,
			About: "The same socket sends to ports that nobody has, which ICMP says."},
		&Fault{Name: "dead peers beside, slow path", harmless: true, steady: true, Dir: Send, topology: slow, do: deadPeers,
			About: "The same socket sends to ports that nobody has, through the kernel's stack."},
		&Fault{Name: "netlink overrun", harmless: true, Dir: Send, twoLinks: true, About: "120,000 neighbours come and go while the route changes.", do: overrun},
		&Fault{Name: "netlink overrun", harmless: true, Dir: Receive, About: "120,000 neighbours come and go.",
			do: func(w *world) error { return w.lab.A.If.NeighbourStorm(60_000) }},
	)
}

// slow has an MTU that no chunk holds, so that everything goes through the kernel's stack.
func slow(t *testenv.Topology) { t.MTU = 9000 }

// deadPeers sends to ports of B that nobody has. What becomes of those sends is theirs; the flow beside it is to know nothing of it.
func deadPeers(w *world) error {
	var irps []*wsk.IRP
	for i := range 500 {
		irp := wsk.AllocateIRP()
		to := wsk.NewSockaddr(netip.AddrPortFrom(w.to, uint16(30_000+i%100)))
		w.socket.SendTo(&wsk.Buf{Mdl: wsk.AllocateMDL([]byte("is anybody there?")), Length: 17}, 0, to, nil, irp)
		irps = append(irps, irp)
		wait(time.Millisecond)
	}
	for i, irp := range irps {
		if err := await(fmt.Sprintf("the send to dead peer %d", i), irp); err != nil && irp.IoStatus.Status == wsk.STATUS_PENDING {
			return err
		}
	}
	return nil
}

// silentCrowd sends to addresses that nobody has. Their IRPs end in time, each by itself.
func silentCrowd(w *world) error {
	irps := make([]*wsk.IRP, 300)
	for i := range irps {
		irps[i] = wsk.AllocateIRP()
		a := netip.AddrFrom4([4]byte{10, 77, 0, byte(50 + i%200)})
		to := wsk.NewSockaddr(netip.AddrPortFrom(a, uint16(9000+i/200)))
		w.socket.SendTo(&wsk.Buf{Mdl: wsk.AllocateMDL([]byte("is anybody there?")), Length: 17}, 0, to, nil, irps[i])
	}
	for i, irp := range irps {
		err := await(fmt.Sprintf("the send to silent address %d", i), irp)
		if irp.IoStatus.Status != wsk.STATUS_HOST_UNREACHABLE {
			return fmt.Errorf("the send to silent address %d: %w", i, err)
		}
	}
	return nil
}

func overrun(w *world) error {
	lo, err := testenv.FindIface(w.lab.A.NS, "lo")
	if err != nil {
		return err
	}
	return steps(func() error { return lo.NeighbourStorm(60_000) }, func() error { return w.route(w.second[0], viaB2, 5) },
		func() error { return w.unroute(w.lab.A.If, viaB1, 10) }, func() error { return lo.NeighbourStorm(1000) })
}
