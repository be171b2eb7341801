// SPDX-License-Identifier: Apache-2.0

package send

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// guard is a FlowGuard that refuses what a test says, and writes down what it is asked.
type guard struct {
	mu     sync.Mutex
	refuse map[netip.Addr]wsk.NTSTATUS
	asked  []netip.Addr
	way    wsk.Way // of the last question
}

func (g *guard) Dead() {}

func (g *guard) Admit(to *wsk.Destination, way wsk.Way) wsk.NTSTATUS {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, to.IP())
	g.way = way
	return g.refuse[to.IP()] // STATUS_SUCCESS is 0
}

func (g *guard) set(to netip.Addr, status wsk.NTSTATUS) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refuse == nil {
		g.refuse = make(map[netip.Addr]wsk.NTSTATUS)
	}
	g.refuse[to] = status
}

func (g *guard) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.asked)
}

// guarded gives the newest source of a rig a guard.
func (r *rig) guarded() *guard {
	g := new(guard)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sources[len(r.sources)-1].Guard = g
	return g
}

// TestGuard: what the guard refuses ends with its status and asks no neighbour; what it lets through is asked about once.
func TestGuard(t *testing.T) {
	r, n := newSilentRig(t)
	s := r.socket()
	g := r.guarded()
	g.set(silent(1), wsk.STATUS_ACCESS_DENIED)
	if got := sendOne(t, s, whole([]byte("x")), sockaddr(silent(1), 9), nil); got != wsk.STATUS_ACCESS_DENIED {
		t.Errorf("refused: %v", got)
	}
	if waiting := n.waiting(); waiting != 0 {
		t.Error("a neighbour was asked for what is refused")
	}
	to := r.warm(s)
	want := wsk.Way{IfIndex: 1, Source: netip.MustParseAddr("10.0.0.1").As16(), MTU: 1500}
	if g.way != want {
		t.Errorf("the way is %+v, want %+v", g.way, want)
	}
	asked := g.count()
	awaitAll(t, sendAll(s, to, 100), wsk.STATUS_SUCCESS)
	if g.count() != asked {
		t.Errorf("asked %d times more for a destination that is known", g.count()-asked)
	}
	n.generation.Add(1)
	awaitAll(t, sendAll(s, to, 100), wsk.STATUS_SUCCESS)
	if more := g.count() - asked; more == 0 || more > 10 {
		t.Errorf("asked %d times more after a change of routes", more)
	}
}

// TestRecheck: a verdict holds until a recheck, and what the guard refuses after it does not leave.
func TestRecheck(t *testing.T) {
	r, _ := newSilentRig(t)
	s := r.socket()
	g := r.guarded()
	to := r.warm(s)
	g.set(fakeAddr, wsk.STATUS_ACCESS_DENIED)
	awaitAll(t, sendAll(s, to, 3), wsk.STATUS_SUCCESS)
	r.host.Sources()[0].Recheck()
	awaitAll(t, sendAll(s, to, 3), wsk.STATUS_ACCESS_DENIED)
	g.set(fakeAddr, wsk.STATUS_SUCCESS)
	awaitAll(t, sendAll(s, to, 3), wsk.STATUS_SUCCESS)
}

// TestRecheckWhileLooking: a recheck while the neighbour is asked has the guard asked again when that has answered.
func TestRecheckWhileLooking(t *testing.T) {
	r, n := newSilentRig(t)
	s := r.socket()
	g := r.guarded()
	irps := sendAll(s, sockaddr(silent(1), 9), 2)
	testenv.Eventually(t, waitLimit, "the neighbour to be asked", func() bool { return n.waiting() == 1 })
	g.set(silent(1), wsk.STATUS_ACCESS_DENIED)
	r.host.Sources()[0].Recheck()
	n.answer(silent(1), nil)
	awaitAll(t, irps, wsk.STATUS_ACCESS_DENIED)
}

// TestAdmitLocal: the source of what the host sends to itself is the very address.
func TestAdmitLocal(t *testing.T) {
	g := new(guard)
	own := netip.MustParseAddr("10.0.0.1")
	hop := route.Hop{Kind: route.Local, Interface: 7, Gateway: own}
	if err := admit(g, &wsk.Destination{}, &hop, netip.Addr{}, 1500, true); err != nil {
		t.Fatal(err)
	}
	if want := (wsk.Way{IfIndex: 7, Source: own.As16(), Kind: wsk.WayLocal, Slow: true, MTU: 1500}); g.way != want {
		t.Errorf("%+v", g.way)
	}
}
