// SPDX-License-Identifier: Apache-2.0

package send

import (
	"context"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// silentRoutes is a network in which nobody but fakeAddr answers, until the test says what comes.
type silentRoutes struct {
	fakeRoutes
	generation atomic.Uint64
	gateway    atomic.Pointer[netip.Addr] // of every destination; nil: all are on the link

	mu      sync.Mutex
	waits   map[netip.Addr]map[int]func([6]byte, error)
	waiters int
	serial  int
}

func (n *silentRoutes) Generation() uint64 { return n.generation.Load() }

func (n *silentRoutes) Resolve(ctx context.Context, q route.Query) (route.Hop, error) {
	hop, err := n.fakeRoutes.Resolve(ctx, q)
	if q.Dst == noWay {
		return hop, route.ErrNoRoute
	}
	if gw := n.gateway.Load(); gw != nil {
		hop.Gateway, hop.OnLink = *gw, false
	}
	return hop, err
}

func (n *silentRoutes) AwaitNeighbour(ifindex int, ip netip.Addr, done func([6]byte, error)) (cancel func()) {
	if ip == fakeAddr {
		return n.fakeRoutes.AwaitNeighbour(ifindex, ip, done)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.serial++
	id := n.serial
	if n.waits == nil {
		n.waits = make(map[netip.Addr]map[int]func([6]byte, error))
	}
	if n.waits[ip] == nil {
		n.waits[ip] = make(map[int]func([6]byte, error))
	}
	n.waits[ip][id] = done
	n.waiters++
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.waits[ip][id] != nil {
			delete(n.waits[ip], id)
			n.waiters--
		}
	}
}

// waiting is how many wait for neighbours.
func (n *silentRoutes) waiting() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.waiters
}

// answer tells all that wait for a neighbour how it ends.
func (n *silentRoutes) answer(ip netip.Addr, err error) {
	n.mu.Lock()
	told := n.waits[ip]
	delete(n.waits, ip)
	n.waiters -= len(told)
	n.mu.Unlock()
	for _, done := range told {
		done([6]byte{2, 0, 0, 0, 0, 3}, err)
	}
}

// noWay is where no route leads.
var noWay = netip.MustParseAddr("10.9.9.9")

func silent(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}) }

// newSilentRig is a rig in such a network.
func newSilentRig(t *testing.T) (*rig, *silentRoutes) {
	r := newRig(t, xdptest.Config{Budget: -1})
	n := new(silentRoutes)
	r.host.Routes = n
	return r, n
}

// TestManySilentDestinations: destinations that do not answer cost no goroutine, hold up no other, and end one by one. One
// beyond the bound ends in STATUS_INSUFFICIENT_RESOURCES.
func TestManySilentDestinations(t *testing.T) {
	const many = 10_000
	r, n := newSilentRig(t)
	r.host.searches.limit = many
	s := r.socket()
	to := r.warm(s)
	before := runtime.NumGoroutine()
	irps := make([]*wsk.IRP, many)
	payload := whole([]byte("silent"))
	for i := range irps {
		irps[i] = wsk.AllocateIRP()
		s.SendTo(payload, 0, sockaddr(silent(i), 9), nil, irps[i])
	}
	testenv.Eventually(t, waitLimit, "all to wait", func() bool { return n.waiting() == many })
	if more := runtime.NumGoroutine() - before; more > 2*maxWorkers {
		t.Errorf("%d goroutines more for %d destinations", more, many)
	}
	if status := sendOne(t, s, whole([]byte("beyond")), sockaddr(silent(many), 9), nil); status != wsk.STATUS_INSUFFICIENT_RESOURCES {
		t.Errorf("a destination beyond the bound: %v", status)
	}
	mustSucceed(t, "a destination that is known", sendOne(t, s, whole([]byte("x")), to, nil))
	n.answer(silent(0), route.ErrUnreachable)
	if status := await(t, irps[0]); status != wsk.STATUS_HOST_UNREACHABLE {
		t.Errorf("the first that is given up: %v", status)
	}
	n.answer(silent(1), nil)
	mustSucceed(t, "one that answers after all", await(t, irps[1]))
	// There is room for two now: for one that answers at once and one that does not.
	mustSucceed(t, "a new destination", sendOne(t, s, whole([]byte("x")), sockaddr(fakeAddr, 10), nil))
	if pending(irps[many-1]) {
		closeSocket(t, s)
	}
	if status := await(t, irps[many-1]); status != wsk.STATUS_CANCELLED {
		t.Errorf("the last of a socket that is closed: %v", status)
	}
	testenv.Eventually(t, waitLimit, "what nobody waits for to be given up", func() bool {
		return n.waiting() == 0 && r.host.searches.count.Load() == 0
	})
}

// TestRouteMovesWhileNeighbourIsAsked: what waits for a gateway that is silent leaves by another when the route changes, with what
// was sent since, in order; and it does not start anew when another route changes.
func TestRouteMovesWhileNeighbourIsAsked(t *testing.T) {
	for name, announced := range map[string]bool{"announced": true, "found when the first has not answered": false} {
		t.Run(name, func(t *testing.T) {
			r, n := newSilentRig(t)
			s := r.socket()
			gateway := silent(1)
			n.gateway.Store(&gateway)
			irps := sendAll(s, sockaddr(silent(9), 9), 5)
			testenv.Eventually(t, waitLimit, "the gateway to be asked", func() bool { return n.waiting() == 1 })
			n.generation.Add(1) // something else
			r.host.Reconsider()
			testenv.Eventually(t, waitLimit, "the change to have been looked at", func() bool {
				r.host.searches.mu.Lock()
				defer r.host.searches.mu.Unlock()
				return !r.host.searches.checking
			})
			n.mu.Lock()
			if n.serial != 1 {
				t.Errorf("asked %d times for a gateway that is still the one", n.serial)
			}
			n.mu.Unlock()
			n.gateway.Store(&fakeAddr)
			n.generation.Add(1)
			irps = append(irps, sendAll(s, sockaddr(silent(9), 9), 5)...)
			if announced {
				r.host.Reconsider()
			} else {
				n.answer(gateway, route.ErrUnreachable)
			}
			awaitAll(t, irps, wsk.STATUS_SUCCESS)
		})
	}
}

// movingRoutes is a network in which the route moves while the first gateway is being asked for, which never answers.
type movingRoutes struct {
	*silentRoutes
	moved atomic.Bool
	host  *Host
}

func (m *movingRoutes) AwaitNeighbour(ifindex int, a netip.Addr, done func([6]byte, error)) (cancel func()) {
	cancel = m.silentRoutes.AwaitNeighbour(ifindex, a, done)
	if m.moved.CompareAndSwap(false, true) {
		m.gateway.Store(&fakeAddr)
		m.generation.Add(1)
		m.host.Reconsider() // finds nothing that waits yet
	}
	return cancel
}

// TestRouteMovesBeforeALookWaits: a look that has asked the routes before they change, and comes to wait after everybody was told, is not
// forgotten.
func TestRouteMovesBeforeALookWaits(t *testing.T) {
	r, n := newSilentRig(t)
	gateway := silent(1)
	n.gateway.Store(&gateway)
	r.host.Routes = &movingRoutes{silentRoutes: n, host: r.host}
	awaitAll(t, sendAll(r.socket(), sockaddr(silent(9), 9), 5), wsk.STATUS_SUCCESS)
}

// TestQueueOpensWhileManyWait: destinations that wait for a queue to be opened hold up no others.
func TestQueueOpensWhileManyWait(t *testing.T) {
	const many = 10 * maxWorkers
	r, n := newSilentRig(t)
	n.gateway.Store(&fakeAddr)
	var mu sync.Mutex
	var later []func()
	opened := false
	first := r.host.QueueFor
	r.queues = make([]*Queue, 2)
	r.host.QueueFor = func(d route.Device, serial uint32, l func()) (*Queue, error) {
		mu.Lock()
		defer mu.Unlock()
		if serial == 0 && !opened {
			later = append(later, l)
			return nil, ErrOpening
		}
		return first(d, serial, l)
	}
	slow, quick := r.socket(), r.socket()
	var irps []*wsk.IRP
	for i := range many {
		irps = append(irps, sendAll(slow, sockaddr(silent(i), 9), 1)...)
	}
	testenv.Eventually(t, waitLimit, "all to wait", func() bool { mu.Lock(); defer mu.Unlock(); return len(later) == many })
	mustSucceed(t, "by the other queue", sendOne(t, quick, whole([]byte("x")), sockaddr(silent(0), 9), nil))
	mu.Lock()
	opened = true
	mu.Unlock()
	for _, l := range later {
		l()
	}
	awaitAll(t, irps, wsk.STATUS_SUCCESS)
}

// TestTriesAgainAtOnce: clients that send again whenever they fail, to more destinations than there are workers, keep nobody else
// from finding a way.
func TestTriesAgainAtOnce(t *testing.T) {
	r, _ := newSilentRig(t)
	s := r.socket()
	var stop atomic.Bool
	var ended sync.WaitGroup
	for i := range 2 * maxWorkers {
		ended.Add(1)
		sendAgain(s, sockaddr(noWay, uint16(1+i)), &stop, ended.Done)
	}
	for i := range 100 {
		mustSucceed(t, "a new destination", sendOne(t, s, whole([]byte("x")), sockaddr(fakeAddr, uint16(1000+i)), nil))
	}
	stop.Store(true)
	ended.Wait()
}

// sendAgain sends, and again from each completion routine, until stop.
func sendAgain(s *wsk.Socket, to wsk.SOCKADDR, stop *atomic.Bool, ended func()) {
	irp, payload := wsk.AllocateIRP(), whole([]byte("x"))
	var send func()
	routine := func(*wsk.IRP, any) wsk.NTSTATUS {
		if stop.Load() {
			ended()
			return wsk.STATUS_MORE_PROCESSING_REQUIRED
		}
		irp.Reuse(wsk.STATUS_SUCCESS)
		send()
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}
	send = func() {
		irp.SetCompletionRoutine(routine, nil, true, true, true)
		s.SendTo(payload, 0, to, nil, irp)
	}
	send()
}
