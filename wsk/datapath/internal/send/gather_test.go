// SPDX-License-Identifier: Apache-2.0

package send

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// gathered is a rig whose usual gateway is silent, and datagrams to many destinations behind it that wait for it: two rounds.
func gathered(t *testing.T, queues, many int) (*rig, *gateways, *wired, *rounds) {
	t.Helper()
	r, g, w := newGatewayRig(t, queues)
	g.byGateway(r)
	g.change(func() { g.macs[gateway1] = 0 })
	n := &rounds{s: r.socket()}
	n.send(2, many)
	testenv.Eventually(t, waitLimit, "one to wait for all", func() bool { return g.waiting(gateway1) == 1 })
	if own, _ := flowCounts(r.sources[0]); own != 1 || g.looked() > 2 {
		t.Errorf("%d destinations have %d flows, and %d ways were looked for", many, own, g.looked())
	}
	return r, g, w, n
}

// nothingGathered fails where something is left of destinations that have waited.
func nothingGathered(t *testing.T, r *rig) {
	t.Helper()
	f := &r.sources[0].flows
	testenv.Eventually(t, waitLimit, "nothing to be looked for", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		counted := 0
		for i := range f.count {
			counted += int(f.count[i].Load())
		}
		return f.awayCount.Load() == 0 && len(f.away) == 0 && len(f.gatherers) == 0 && f.sought.Load() == 0 &&
			r.host.searches.count.Load() == 0 && counted == len(f.all)
	})
}

// TestGatewayAnswers: thousands of destinations behind a gateway that is being asked for have one flow and one question between them;
// when it answers, all leaves in order, but for what was cancelled.
func TestGatewayAnswers(t *testing.T) {
	const many = 10_000
	r, g, w, n := gathered(t, 1, many)
	var cancelled, left []*wsk.IRP
	for i, irp := range n.irps {
		if i >= many && i%3 == 0 {
			irp.Cancel()
			cancelled = append(cancelled, irp)
		} else {
			left = append(left, irp)
		}
	}
	awaitAll(t, cancelled, wsk.STATUS_CANCELLED)
	g.change(func() { g.macs[gateway1] = 11 })
	g.tell(gateway1)
	n.irps = n.irps[:many] // of which all leave
	awaitAll(t, left, wsk.STATUS_SUCCESS)
	for i := range many {
		frames := w.to(netip.AddrPortFrom(behind(i), 7))
		want := 2
		if (many+i)%3 == 0 {
			want = 1
		}
		if len(frames) != want {
			t.Fatalf("destination %d: %d datagrams, want %d", i, len(frames), want)
		}
		for round, frame := range frames {
			if got := numberIn(frame); got != uint32(round*many+i) {
				t.Fatalf("destination %d: number %d in place of %d", i, got, round*many+i)
			}
		}
	}
	if n := g.looked(); n > 4 {
		t.Errorf("%d ways were looked for", n)
	}
	nothingGathered(t, r)
}

// TestBatchGathered: operations of a batch that wait with another for their gateway complete when they have left, and once.
func TestBatchGathered(t *testing.T) {
	const many, each = 3, 2
	r, g, w := newGatewayRig(t, 1)
	g.byGateway(r)
	g.change(func() { g.macs[gateway1] = 0 })
	ep := r.boundSource()
	var to []wsk.Destination
	for i := range many {
		to = append(to, dest(behind(i), 7))
	}
	list := newRelays(many * each)
	completed := make([]atomic.Int32, len(list))
	for i, one := range list {
		one.irp.SetCompletionRoutine(func(*wsk.IRP, any) wsk.NTSTATUS {
			completed[i].Add(1)
			return wsk.STATUS_MORE_PROCESSING_REQUIRED
		}, nil, true, true, true)
	}
	ep.SendBatch(relayed(list, to...))
	testenv.Eventually(t, waitLimit, "one to wait for all", func() bool { return g.waiting(gateway1) == 1 })
	for i := range completed {
		if completed[i].Load() != 0 {
			t.Errorf("operation %d has completed, %v, before its gateway is known", i, list[i].irp.IoStatus.Status)
		}
	}
	g.change(func() { g.macs[gateway1] = 11 })
	g.tell(gateway1)
	for i, one := range list {
		mustSucceed(t, "the batch", await(t, &one.irp))
		if n := completed[i].Load(); n != 1 {
			t.Errorf("operation %d has completed %d times", i, n)
		}
	}
	for i := range many {
		if n := len(w.to(netip.AddrPortFrom(behind(i), 7))); n != each {
			t.Errorf("destination %d: %d datagrams, want %d", i, n, each)
		}
	}
	nothingGathered(t, r)
}

// TestGatewayIsSilent: they all end when it does not answer, and are looked for again when something is sent to them again.
func TestGatewayIsSilent(t *testing.T) {
	const many = 1000
	r, g, w, n := gathered(t, 1, many)
	g.tell(gateway1)
	awaitAll(t, n.irps, wsk.STATUS_HOST_UNREACHABLE)
	nothingGathered(t, r)
	if w.all != 0 {
		t.Errorf("%d datagrams have left", w.all)
	}
	g.change(func() { g.macs[gateway1] = 11 })
	again := &rounds{s: n.s}
	again.send(3, many)
	awaitAll(t, again.irps, wsk.STATUS_SUCCESS)
	again.inOrder(t, w, many)
	nothingGathered(t, r)
}

// TestClosedWhileGathered: Close ends what waits with another, and what comes meanwhile.
func TestClosedWhileGathered(t *testing.T) {
	_, _, w, n := gathered(t, 1, 1000)
	irp := wsk.AllocateIRP()
	n.s.Close(irp)
	mustSucceed(t, "close", await(t, irp))
	awaitAll(t, n.irps, wsk.STATUS_CANCELLED)
	if w.all != 0 {
		t.Errorf("%d datagrams have left", w.all)
	}
}

// TestGatheredLedElsewhere: destinations that come to be led to another gateway while they wait leave that way at once, in order with
// what comes then, by the same queue or another; the rest waits on. So it is where the one for which the gateway was asked is among
// them.
func TestGatheredLedElsewhere(t *testing.T) {
	for name, c := range map[string]struct{ queues, first int }{
		"one queue": {1, 1}, "two queues": {2, 1}, "with the first": {1, 0}, "with the first, two queues": {2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			const many, moved = 1000, 100
			r, g, w, n := gathered(t, c.queues, many)
			g.change(func() {
				for i := range moved {
					g.others[behind(c.first+i)] = gateway2
				}
			})
			r.host.Reconsider()
			n.send(1, many)
			var elsewhere, rest []*wsk.IRP
			for i, irp := range n.irps {
				if k := i%many - c.first; k >= 0 && k < moved {
					elsewhere = append(elsewhere, irp)
				} else {
					rest = append(rest, irp)
				}
			}
			awaitAll(t, elsewhere, wsk.STATUS_SUCCESS)
			g.change(func() { g.macs[gateway1] = 11 })
			g.tell(gateway1)
			awaitAll(t, rest, wsk.STATUS_SUCCESS)
			n.inOrder(t, w, many)
			nothingGathered(t, r)
		})
	}
}

// TestGatheredAskedOneByOne: where no path for all comes of it, each destination gets a way of its own.
func TestGatheredAskedOneByOne(t *testing.T) {
	const many = 500
	r, g, w, n := gathered(t, 1, many)
	g.change(func() {
		for i := range many {
			g.single[behind(i)] = 1400
		}
		g.macs[gateway1] = 11
	})
	n.send(1, many)
	g.tell(gateway1)
	r.host.Reconsider()
	awaitAll(t, n.irps, wsk.STATUS_SUCCESS)
	n.inOrder(t, w, many)
	nothingGathered(t, r)
}

// TestStormGathered sends to many destinations from two goroutines while their gateway falls silent and answers again, routes come and
// go, and IRPs are cancelled: each completes once, and what leaves for a destination leaves in order.
func TestStormGathered(t *testing.T) {
	const rounds, many, senders = 60, 60, 2
	for _, queues := range []int{1, 2} {
		r, g, w := newGatewayRig(t, queues)
		g.byGateway(r)
		s := r.socket()
		seed := testenv.Seed(t)
		var wait sync.WaitGroup
		irps := make([][]*wsk.IRP, senders)
		for k := range senders {
			wait.Go(func() {
				rnd := rand.New(rand.NewPCG(seed, uint64(k)))
				for n := range rounds * many {
					irp := wsk.AllocateIRP()
					s.SendTo(whole(binary.BigEndian.AppendUint32(nil, uint32(n))), 0, sockaddr(behind(k*many+n%many), 7), nil, irp)
					irps[k] = append(irps[k], irp)
					if rnd.IntN(10) == 0 {
						irps[k][rnd.IntN(len(irps[k]))].Cancel()
					}
					if rnd.IntN(20) == 0 {
						runtime.Gosched()
					}
				}
			})
		}
		over := make(chan struct{})
		go func() { wait.Wait(); close(over) }()
		rnd := rand.New(rand.NewPCG(seed, 99))
		for ended := false; !ended; {
			select {
			case <-over:
				ended = true
			default:
			}
			g.change(func() {
				gw := []netip.Addr{gateway1, gateway2}[rnd.IntN(2)]
				g.marks[gw]++
				if g.macs[gw] = byte(rnd.IntN(2)) * gw.As4()[3]; ended {
					g.macs[gateway1], g.macs[gateway2] = 11, 12
				}
				to := behind(rnd.IntN(senders * many))
				switch rnd.IntN(4) {
				case 0:
					g.others[to] = gateway2
				case 1:
					delete(g.others, to)
				case 2:
					g.single[to] = 1400
				case 3:
					delete(g.single, to)
				}
			})
			if rnd.IntN(2) == 0 {
				r.host.Reconsider()
			}
			g.tell(gateway1)
			g.tell(gateway2)
			runtime.Gosched()
		}
		for k := range senders {
			for _, irp := range irps[k] {
				await(t, irp)
			}
		}
		for i := range senders * many {
			last := -1
			for _, frame := range w.to(netip.AddrPortFrom(behind(i), 7)) {
				if got := int(numberIn(frame)); got <= last {
					t.Fatalf("%d queues, destination %d: number %d after %d", queues, i, got, last)
				} else {
					last = got
				}
			}
		}
		nothingGathered(t, r)
	}
}
