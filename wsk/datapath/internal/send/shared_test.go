// SPDX-License-Identifier: Apache-2.0

package send

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// gateways is a network behind gateways, as a mirror of the kernel's routing has it: a gateway for all, and others for single
// destinations.
type gateways struct {
	fakeRoutes

	mu     sync.Mutex
	serial uint64
	usual  netip.Addr
	others map[netip.Addr]netip.Addr
	single map[netip.Addr]int        // destinations about which the kernel is asked, with their path MTU
	marks  map[netip.Addr]uint64     // of gateways: grow when their neighbours change
	macs   map[netip.Addr]byte       // the last octet; 0: silent
	waits  map[netip.Addr][]func()   // for silent ones
	given  map[*route.Standing]given // answers
	asked  int                       // how often a way was looked for
}

// given is what an answer rests on.
type given struct {
	to, gateway netip.Addr
	mark        uint64
	mirrored    bool
}

var gateway1, gateway2 = netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("10.0.0.12")

func newGateways() *gateways {
	return &gateways{
		serial: 1, usual: gateway1, others: map[netip.Addr]netip.Addr{}, single: map[netip.Addr]int{}, marks: map[netip.Addr]uint64{},
		macs: map[netip.Addr]byte{gateway1: 11, gateway2: 12}, waits: map[netip.Addr][]func(){}, given: map[*route.Standing]given{},
	}
}

// change has do change the network.
func (g *gateways) change(do func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	do()
	g.serial++
}

func (g *gateways) gatewayLocked(to netip.Addr) netip.Addr {
	if gw, ok := g.others[to]; ok {
		return gw
	}
	return g.usual
}

func (g *gateways) Generation() uint64 { g.mu.Lock(); defer g.mu.Unlock(); return g.serial }

func (g *gateways) Resolve(ctx context.Context, q route.Query) (route.Hop, error) {
	hop, err := g.fakeRoutes.Resolve(ctx, q)
	if q.Dst.Is6() {
		hop.Source = netip.MustParseAddr("fd00::1")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	hop.Gateway, hop.OnLink = g.gatewayLocked(q.Dst), false
	if mtu := g.single[q.Dst]; mtu != 0 {
		hop.MTU = mtu
	}
	if q.Dst == noWay {
		return hop, route.ErrNoRoute
	}
	return hop, err
}

func (g *gateways) ResolveStanding(ctx context.Context, q route.Query, on *route.Standing) (route.Hop, error) {
	hop, err := g.Resolve(ctx, q)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.given[on] = given{q.Dst, hop.Gateway, g.marks[hop.Gateway], g.single[q.Dst] == 0}
	return hop, err
}

func (g *gateways) Stands(on *route.Standing) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.given[on]
	return was.gateway == g.gatewayLocked(was.to) && was.mark == g.marks[was.gateway] && was.mirrored == (g.single[was.to] == 0)
}

func (g *gateways) StandsAside(on *route.Standing) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.given[on]
	return was.mirrored && was.mark == g.marks[was.gateway]
}

func (g *gateways) leadLocked(gateway netip.Addr, is4 bool) route.Lead {
	b, source := gateway.As4(), netip.MustParseAddr("10.0.0.1")
	if !is4 {
		source = netip.MustParseAddr("fd00::1")
	}
	return route.Lead{Hop: uint64(b[3]), Source: source}
}

func (g *gateways) Leads(route.Query) route.Leads {
	return func(octets *[16]byte, _ uint16) (route.Lead, uint64, bool) {
		dst := netip.AddrFrom16(*octets).Unmap()
		g.mu.Lock()
		defer g.mu.Unlock()
		if dst == noWay || g.single[dst] != 0 {
			return route.Lead{}, g.serial, true
		}
		return g.leadLocked(g.gatewayLocked(dst), dst.Is4()), g.serial, true
	}
}

func (g *gateways) LeadOf(on *route.Standing) route.Lead {
	g.mu.Lock()
	defer g.mu.Unlock()
	if was := g.given[on]; was.mirrored {
		return g.leadLocked(was.gateway, was.to.Is4())
	}
	return route.Lead{}
}

func (g *gateways) Asked() map[string]uint64 { return nil }

func (g *gateways) FlowLabels(src netip.AddrPort) route.FlowLabels {
	return func(dst *[16]byte, port uint16) uint32 {
		return (uint32(dst[15])<<8 | uint32(dst[14])) + uint32(src.Port()) + uint32(port)
	}
}

func (g *gateways) AwaitNeighbour(_ int, ip netip.Addr, done func([6]byte, error)) (cancel func()) {
	g.mu.Lock()
	mac := g.macs[ip]
	tell := func() { done([6]byte{2, 0, 0, 0, 0, mac}, nil) }
	if mac == 0 {
		gone := false
		tell = func() {
			g.mu.Lock()
			mac, over := g.macs[ip], gone
			gone = true
			g.mu.Unlock()
			switch {
			case over:
			case mac == 0:
				done([6]byte{}, route.ErrUnreachable)
			default:
				done([6]byte{2, 0, 0, 0, 0, mac}, nil)
			}
		}
		g.waits[ip] = append(g.waits[ip], tell)
		g.mu.Unlock()
		return func() { g.mu.Lock(); gone = true; g.mu.Unlock() }
	}
	g.mu.Unlock()
	tell()
	return func() {}
}

// tell ends the waits for a gateway, which has answered if it has a MAC now.
func (g *gateways) tell(ip netip.Addr) {
	g.mu.Lock()
	told := g.waits[ip]
	delete(g.waits, ip)
	g.mu.Unlock()
	for _, tell := range told {
		tell()
	}
}

func (g *gateways) waiting(ip netip.Addr) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waits[ip])
}

// looked is how often a way was looked for.
func (g *gateways) looked() int { g.mu.Lock(); defer g.mu.Unlock(); return g.asked }

// wired is what has left.
type wired struct {
	t      *testing.T
	mu     sync.Mutex
	frames map[netip.AddrPort][][]byte
	list   [][]byte
	all    int
}

func (w *wired) onSend(frame []byte) {
	p, err := testenv.Decode(frame)
	if err != nil {
		w.t.Error(err)
		return
	}
	frame = bytes.Clone(frame)
	w.mu.Lock()
	defer w.mu.Unlock()
	to := netip.AddrPortFrom(p.Destination, p.DestinationPort)
	w.frames[to], w.list = append(w.frames[to], frame), append(w.list, frame)
	w.all++
}

func (w *wired) to(a netip.AddrPort) [][]byte { w.mu.Lock(); defer w.mu.Unlock(); return w.frames[a] }

// newGatewayRig is a rig in such a network, with what leaves.
func newGatewayRig(t *testing.T, queues int) (*rig, *gateways, *wired) {
	w := &wired{t: t, frames: map[netip.AddrPort][][]byte{}}
	r := newRig(t, xdptest.Config{Budget: -1, OnSend: w.onSend})
	g := newGateways()
	r.host.Routes, r.host.Standings = g, g
	r.queues = make([]*Queue, queues)
	return r, g, w
}

// byGateway has a rig send through its second queue, if there is one, what goes by the second gateway.
func (g *gateways) byGateway(r *rig) {
	r.host.Routes = byGateway{g}
	r.host.Standings = byGateway{g}
	all := r.host.QueueFor
	r.host.QueueFor = func(d route.Device, _ uint32, later func()) (*Queue, error) {
		return all(d, uint32(d.Index-1), later)
	}
}

type byGateway struct{ *gateways }

func (g byGateway) Transmit(hop route.Hop, _ uint8) (route.Egress, route.Obstacle) {
	if hop.Gateway == gateway2 {
		hop.Device.Index = 2
	}
	return route.Egress{Device: hop.Device}, route.Obstacle{}
}

// behind is a destination behind the gateways.
func behind(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}) }

// flowCounts are how many flows a source has of its own, and how many shared ones.
func flowCounts(s *Source) (own, shared int) {
	s.flows.each(func(*Flow) { own++ })
	s.flows.shared.each(func(*Flow) { shared++ })
	return own, shared
}

// share sends until destinations share a flow.
func (r *rig) share(s *wsk.Socket) {
	r.t.Helper()
	mustSucceed(r.t, "first", sendOne(r.t, s, whole([]byte("first")), sockaddr(behind(0), 9), nil))
	testenv.Eventually(r.t, waitLimit, "a shared flow", func() bool {
		src := r.sources[0]
		_, shared := flowCounts(src)
		return shared == 1 && src.flows.sought.Load() == 0
	})
}

// TestManyBehindOneGateway: what is sent to many destinations behind one gateway is looked for once, remembered once, and each
// datagram goes where it is sent.
func TestManyBehindOneGateway(t *testing.T) {
	const many = 5000
	r, g, w := newGatewayRig(t, 1)
	s := r.socket()
	r.share(s)
	before := g.looked()
	for i := range many {
		mustSucceed(t, "datagram", sendOne(t, s, whole([]byte{byte(i)}), sockaddr(behind(i), uint16(1+i%7)), nil))
	}
	if n := g.looked() - before; n != 0 {
		t.Errorf("%d ways were looked for", n)
	}
	if own, shared := flowCounts(r.sources[0]); own != 1 || shared != 1 {
		t.Errorf("%d flows of destinations, %d shared", own, shared)
	}
	for i := range many {
		if got := w.to(netip.AddrPortFrom(behind(i), uint16(1+i%7))); len(got) != 1 {
			t.Fatalf("%v: %d datagrams", behind(i), len(got))
		}
	}
}

// TestSharedAsOwn: a frame that leaves by a shared flow is, octet for octet, the one that the flow of its destination alone would send.
func TestSharedAsOwn(t *testing.T) {
	compareSharedWithOwn(t, 1500, 0, 1, 18, 31, 200, 1400, 3000)
}

// TestSharedJumboAsOwn is TestSharedAsOwn with frames that lie in several chunks, and fragments of which each does.
func TestSharedJumboAsOwn(t *testing.T) {
	compareSharedWithOwn(t, 9000, 18, 1400, 1890, 1919, 5000, 8952, 8972, 20_000)
}

// compareSharedWithOwn sends datagrams of some sizes, those of 1400 bytes in segments, on a link with an MTU.
func compareSharedWithOwn(t *testing.T, mtu int, sizes ...int) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, family := range []uint16{wsk.AF_INET, wsk.AF_INET6} {
		is4 := family == wsk.AF_INET
		send := func(share bool) (all [][]byte) {
			random := rand.New(rand.NewPCG(seed, 1))
			r, g, w := newGatewayRig(t, 1)
			g.mtu, r.kernels.config.FrameChunks = mtu, 18
			if !share {
				r.host.Standings = nil
			}
			local := "[::]:0"
			if is4 {
				local = "0.0.0.0:0"
			}
			s := r.socketOf(family, local)
			datagram := func(size int, control []byte) {
				to, b := behind(int(random.Uint32())), make([]byte, size)
				if !is4 {
					to = netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 14: byte(random.Uint32()), 15: byte(random.Uint32())})
				}
				for i := range b {
					b[i] = byte(random.Uint32())
				}
				mustSucceed(t, "datagram", sendOne(t, s, whole(b), sockaddr(to, uint16(1+random.UintN(65535))), control))
			}
			datagram(1, nil)
			q := r.queue()
			q.mu.Lock()
			q.tx.ipID = 7
			q.mu.Unlock()
			for range 600 {
				var control []byte
				if random.UintN(2) == 0 {
					control = wsk.AppendTOS(control, is4, 0x28)
				}
				if random.UintN(4) == 0 {
					control = wsk.AppendTTL(control, is4, 9)
				}
				size := sizes[random.IntN(len(sizes))]
				if size == 1400 {
					control = wsk.AppendSendMsgSize(control, 500)
				}
				datagram(size, control)
			}
			if n := g.looked(); share && n > 20 {
				t.Errorf("%d ways were looked for", n)
			}
			return w.list[1:] // but for the first, with a random identification
		}
		shared, own := send(true), send(false)
		if len(shared) != len(own) {
			t.Fatalf("%d frames, want %d", len(shared), len(own))
		}
		for i := range own {
			if !bytes.Equal(shared[i], own[i]) {
				t.Fatalf("frame %d:\n% x, want\n% x", i, shared[i], own[i])
			}
		}
	}
}

// rounds sends datagrams to many destinations in turn, each with its number, and counts them.
type rounds struct {
	s    *wsk.Socket
	irps []*wsk.IRP
}

func (n *rounds) send(rounds, destinations int) {
	for range rounds {
		for i := range destinations {
			irp := wsk.AllocateIRP()
			n.s.SendTo(whole(binary.BigEndian.AppendUint32(nil, uint32(len(n.irps)))), 0, sockaddr(behind(i), 7), nil, irp)
			n.irps = append(n.irps, irp)
		}
	}
}

// numberIn is the number of a datagram.
func numberIn(frame []byte) uint32 { return binary.BigEndian.Uint32(frame[len(frame)-4:]) }

// inOrder fails where datagrams to a destination have changed places, or one has not left once.
func (n *rounds) inOrder(t *testing.T, w *wired, destinations int) {
	t.Helper()
	for i := range destinations {
		next := uint32(i)
		for _, frame := range w.to(netip.AddrPortFrom(behind(i), 7)) {
			if got := numberIn(frame); got != next {
				t.Fatalf("destination %d: number %d in place of %d", i, got, next)
			}
			next += uint32(destinations)
		}
		if sent := uint32(len(n.irps)); next != uint32(i)+sent {
			t.Fatalf("destination %d: number %d has not left", i, next)
		}
	}
}

// macsOf are the gateways to which the datagrams for a destination went.
func macsOf(w *wired, i int) (macs []byte) {
	for _, frame := range w.to(netip.AddrPortFrom(behind(i), 7)) {
		macs = append(macs, frame[5])
	}
	return macs
}

// TestSharedFollowsItsGateway: another MAC of the gateway counts for all destinations behind it, from the next datagram on, and is
// looked for a few times, not once for each; what waits in the queue goes there too.
func TestSharedFollowsItsGateway(t *testing.T) {
	const many = 500
	r, g, w := newGatewayRig(t, 1)
	n := &rounds{s: r.socket()}
	r.share(n.s)
	k := r.kernels.newest()
	k.HoldCompletions(true)
	n.send(1, many)
	g.change(func() { g.macs[gateway1] = 21; g.marks[gateway1]++ })
	n.send(1, many)
	k.HoldCompletions(false)
	k.CompleteHeld(-1, xdptest.InOrder, 0)
	awaitAll(t, n.irps, wsk.STATUS_SUCCESS)
	n.inOrder(t, w, many)
	for i := range many {
		if macs := macsOf(w, i); macs[1] != 21 {
			t.Fatalf("destination %d: %v", i, macs)
		}
	}
}

// TestRouteForOneAppears: a route that is more specific counts for its destination from the next datagram on, and for no other, in order
// with what was sent before, by the same queue or another.
func TestRouteForOneAppears(t *testing.T) {
	for name, queues := range map[string]int{"one queue": 1, "two queues": 2} {
		t.Run(name, func(t *testing.T) {
			const many, moved = 100, 7
			r, g, w := newGatewayRig(t, queues)
			g.byGateway(r)
			n := &rounds{s: r.socket()}
			r.share(n.s)
			k := r.kernels.newest()
			k.SetNeedWakeup(false) // nobody kicks: what is sent lies in the ring
			n.send(1, 10)
			k.SetUp(false)
			k.SetNeedWakeup(true)
			n.send(9, 10)
			r.awaitState("down")
			g.change(func() { g.others[behind(moved)] = gateway2 })
			n.send(5, 10)
			if queues > 1 {
				testenv.Eventually(t, waitLimit, "the one to leave by the other link", func() bool {
					return len(w.to(netip.AddrPortFrom(behind(moved), 7))) == 15
				})
			}
			k.SetUp(true)
			r.queue().LinkUp()
			for _, k := range r.kernels.list() {
				k.SetUp(true)
			}
			awaitAll(t, n.irps, wsk.STATUS_SUCCESS)
			n.inOrder(t, w, 10)
			for i := range 10 {
				macs, want := macsOf(w, i), byte(11)
				if i == moved {
					want = 12
				}
				if macs[14] != want || i == moved && queues > 1 && macs[0] != want {
					t.Errorf("destination %d: %v", i, macs)
				}
			}
			_ = many
		})
	}
}

// TestPathMTUOfOne: what is learned about one destination counts for that one.
func TestPathMTUOfOne(t *testing.T) {
	r, g, w := newGatewayRig(t, 1)
	s := r.socket()
	r.share(s)
	g.change(func() { g.single[behind(3)] = 600 })
	r.sources[0].PathNarrowed(behind(3))
	for i := range 20 {
		mustSucceed(t, "datagram", sendOne(t, s, whole(make([]byte, 1000)), sockaddr(behind(i), 7), nil))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.all; n != 22 { // with the first
		t.Errorf("%d frames, want one more than datagrams", n)
	}
}

// TestDeadGatewayHoldsUpNobody: thousands of destinations behind a gateway that is silent wait, and end one by one; those behind another
// are sent to meanwhile as ever. When it answers, all that waits leaves in order.
func TestDeadGatewayHoldsUpNobody(t *testing.T) {
	const many = 3000
	r, g, w := newGatewayRig(t, 1)
	s := r.socket()
	r.share(s)
	g.change(func() {
		g.macs[gateway2] = 0
		for i := range many {
			g.others[behind(10_000+i)] = gateway2
		}
	})
	dead := func() (irps []*wsk.IRP) {
		for i := range many {
			irp := wsk.AllocateIRP()
			s.SendTo(whole([]byte{byte(i)}), 0, sockaddr(behind(10_000+i), 7), nil, irp)
			irps = append(irps, irp)
		}
		return irps
	}
	irps := dead()
	testenv.Eventually(t, waitLimit, "one to wait for all", func() bool { return g.waiting(gateway2) == 1 })
	before := g.looked()
	for i := range many {
		mustSucceed(t, "to the living", sendOne(t, s, whole([]byte{byte(i)}), sockaddr(behind(i), 7), nil))
	}
	if n := g.looked() - before; n != 0 {
		t.Errorf("%d ways of the living were looked for", n)
	}
	g.tell(gateway2)
	awaitAll(t, irps, wsk.STATUS_HOST_UNREACHABLE)
	irps = append(dead(), dead()...)
	// The one for which the gateway was asked has a flow, which stays; one of the others gathers the rest.
	testenv.Eventually(t, waitLimit, "two to wait for all", func() bool { return g.waiting(gateway2) == 2 })
	g.change(func() { g.macs[gateway2] = 12 })
	g.tell(gateway2)
	awaitAll(t, irps, wsk.STATUS_SUCCESS)
	for i := range many {
		if got := len(w.to(netip.AddrPortFrom(behind(10_000+i), 7))); got != 2 {
			t.Fatalf("destination %d: %d datagrams", i, got)
		}
	}
	testenv.Eventually(t, waitLimit, "the flows of single destinations to dissolve", func() bool {
		own, shared := flowCounts(r.sources[0])
		return own <= keptFlows && shared == 2
	})
}

// refuses is a guard that lets nobody pass to odd addresses.
type refuses struct{ asked atomic.Int64 }

func (g *refuses) Admit(to *wsk.Destination, _ wsk.Way) wsk.NTSTATUS {
	g.asked.Add(1)
	if to.Addr[15]%2 != 0 {
		return wsk.STATUS_ACCESS_DENIED
	}
	return wsk.STATUS_SUCCESS
}

// TestGuardOfShared: a guard is asked about each destination of a shared flow.
func TestGuardOfShared(t *testing.T) {
	r, _, w := newGatewayRig(t, 1)
	s := r.socket()
	guard := new(refuses)
	r.sources[0].Guard = guard
	r.share(s)
	before := guard.asked.Load()
	for i := 1; i < 100; i++ {
		want := wsk.STATUS_SUCCESS
		if i%2 != 0 {
			want = wsk.STATUS_ACCESS_DENIED
		}
		if got := sendOne(t, s, whole([]byte{1}), sockaddr(behind(i), 7), nil); got != want {
			t.Errorf("destination %d: %v, want %v", i, got, want)
		}
	}
	if n := guard.asked.Load() - before; n != 99 {
		t.Errorf("asked %d times about 99 destinations", n)
	}
	if w.all != 1+49 {
		t.Errorf("%d frames", w.all)
	}
}

// TestRebuildWithManyDestinations: when the socket is replaced while many destinations share its queue, all of it leaves, in order.
func TestRebuildWithManyDestinations(t *testing.T) {
	const many = 300
	r, _, w := newGatewayRig(t, 1)
	n := &rounds{s: r.socket()}
	r.share(n.s)
	k := r.kernels.newest()
	k.SetNeedWakeup(false)
	n.send(1, many)
	k.SetNeedWakeup(true)
	BreakDown(r.queue(), "a test", nil)
	n.send(1, many)
	awaitAll(t, n.irps, wsk.STATUS_SUCCESS)
	n.inOrder(t, w, many)
}
