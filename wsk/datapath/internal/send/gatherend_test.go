// SPDX-License-Identifier: Apache-2.0

package send

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestGatheredLeftAlone: destinations that have left for another gateway are not looked at again, so that the one that waits on for the
// first does not look for its way again and again.
func TestGatheredLeftAlone(t *testing.T) {
	const many, moved = 200, 50
	r, g, _, n := gathered(t, 1, many)
	g.change(func() {
		for i := range moved {
			g.others[behind(1+i)] = gateway2
		}
	})
	r.host.Reconsider()
	for i, irp := range n.irps {
		if k := i%many - 1; k >= 0 && k < moved {
			mustSucceed(t, "led elsewhere", await(t, irp))
		}
	}
	f := &r.sources[0].flows
	testenv.Eventually(t, waitLimit, "what has left to be forgotten", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.away) == many-1-moved
	})
	g.change(func() { g.macs[gateway1] = 11 })
	g.tell(gateway1)
	for _, irp := range n.irps {
		mustSucceed(t, "datagram", await(t, irp))
	}
	if looked := g.looked(); looked > 3*moved+10 {
		t.Errorf("%d ways were looked for", looked)
	}
	nothingGathered(t, r)
}

// TestGatheredCountedOnce: what was gathered and comes to need ways of its own is not counted twice among what is looked for.
func TestGatheredCountedOnce(t *testing.T) {
	const many = 200
	r, g, _, n := gathered(t, 1, many)
	r.host.searches.limit = many + 10
	g.change(func() { g.usual, g.macs[gateway2] = gateway2, 0 })
	r.host.Reconsider()
	testenv.Eventually(t, waitLimit, "all to wait for the other gateway", func() bool { return g.waiting(gateway2) == many })
	g.change(func() { g.macs[gateway2] = 12 })
	g.tell(gateway2)
	awaitAll(t, n.irps, wsk.STATUS_SUCCESS)
	nothingGathered(t, r)
}

// TestSilentGatewayTriedOnAndOn: clients that go on to the next destination whenever one has failed, behind a gateway that never
// answers, do not use up what may be looked for.
func TestSilentGatewayTriedOnAndOn(t *testing.T) {
	const clients, tries = 8, 50
	r, g, _ := newGatewayRig(t, 1)
	g.byGateway(r)
	g.change(func() { g.macs[gateway1] = 0 })
	r.host.searches.limit = 4 * clients
	s := r.socket()
	var ended sync.WaitGroup
	var next, refused, over atomic.Int64
	payload := whole([]byte("x"))
	for range clients {
		ended.Add(1)
		irp, left := wsk.AllocateIRP(), tries
		var send func()
		routine := func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
			if irp.IoStatus.Status != wsk.STATUS_HOST_UNREACHABLE {
				refused.Add(1)
			}
			if left--; left == 0 {
				over.Add(1)
				ended.Done()
				return wsk.STATUS_MORE_PROCESSING_REQUIRED
			}
			irp.Reuse(wsk.STATUS_SUCCESS)
			send()
			return wsk.STATUS_MORE_PROCESSING_REQUIRED
		}
		send = func() {
			irp.SetCompletionRoutine(routine, nil, true, true, true)
			s.SendTo(payload, 0, sockaddr(behind(int(next.Add(1))), 7), nil, irp)
		}
		send()
	}
	testenv.Eventually(t, waitLimit, "all to be over", func() bool {
		g.tell(gateway1)
		return over.Load() == clients
	})
	ended.Wait()
	if n := refused.Load(); n != 0 {
		t.Errorf("%d datagrams ended otherwise", n)
	}
	nothingGathered(t, r)
}
