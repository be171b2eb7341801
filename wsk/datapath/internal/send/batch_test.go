// SPDX-License-Identifier: Apache-2.0

package send

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// relay is an operation of no socket whose end a test waits for.
type relay struct {
	irp wsk.IRP
	mdl wsk.MDL
}

func newRelays(n int) []*relay {
	list := make([]*relay, n)
	for i := range list {
		list[i] = new(relay)
		list[i].mdl.Init([]byte{byte(i >> 8), byte(i)})
	}
	return list
}

// relayed begins all operations, to destinations in turn.
func relayed(list []*relay, to ...wsk.Destination) []*wsk.SendOp {
	ops := make([]*wsk.SendOp, len(list))
	for i, r := range list {
		ops[i] = r.irp.Relay(&to[i%len(to)], &wsk.Buf{Mdl: &r.mdl, Length: 2}, 0)
	}
	return ops
}

func dest(a netip.Addr, port uint16) wsk.Destination {
	return wsk.Destination{Addr: a.As16(), Port: port, TTL: 64}
}

// boundSource is a source without a socket.
func (r *rig) boundSource() *endpoint {
	r.t.Helper()
	ep, _ := r.OpenEndpoint(wsk.AF_INET, nil)
	ep.Bind(wsk.BindRequest{Local: netip.MustParseAddrPort("0.0.0.0:0")}, func(netip.AddrPort, wsk.NTSTATUS) {})
	return ep.(*endpoint)
}

// TestSendBatch: all operations of a batch complete, those to a destination leave in their order, whatever is known of it
// at first, and what leaves together is one kick.
func TestSendBatch(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	ep := r.boundSource()
	var mu sync.Mutex
	var left []byte
	for round := range 4 {
		list := newRelays(150) // more than go under one lock
		for i, one := range list {
			one.irp.SetCompletionRoutine(func(*wsk.IRP, any) wsk.NTSTATUS {
				mu.Lock()
				left = append(left, byte(i))
				mu.Unlock()
				return wsk.STATUS_MORE_PROCESSING_REQUIRED
			}, nil, true, true, true)
		}
		kicks := uint64(0)
		if round > 0 {
			kicks = r.kernels.newest().Counters().Kicks
		}
		ep.SendBatch(relayed(list, dest(fakeAddr, 9), dest(fakeAddr, 10), dest(silent(2), 9)))
		for i, one := range list {
			if got := await(t, &one.irp); got != wsk.STATUS_SUCCESS {
				t.Fatalf("round %d, operation %d: %v", round, i, got)
			}
		}
		if kicks = r.kernels.newest().Counters().Kicks - kicks; round == 3 && kicks > 40 { // the poller has some of them
			t.Errorf("%d kicks for 150 operations", kicks)
		}
		mu.Lock()
		last := [3]int{-1, -1, -1}
		for _, i := range left {
			if to := int(i) % 3; int(i) < last[to] {
				t.Errorf("round %d: operation %d left after %d", round, i, last[to])
			} else {
				last[to] = int(i)
			}
		}
		left = left[:0]
		mu.Unlock()
	}
}

// TestSendBatchCancelled: what waits for its way out of a batch is cancelled like any other.
func TestSendBatchCancelled(t *testing.T) {
	r, n := newSilentRig(t)
	ep := r.boundSource()
	first := newRelays(1) // opens the queue
	ep.SendBatch(relayed(first, dest(fakeAddr, 9)))
	await(t, &first[0].irp)
	list := newRelays(4)
	ep.SendBatch(relayed(list, dest(silent(1), 9)))
	testenv.Eventually(t, waitLimit, "the neighbour to be asked", func() bool { return n.waiting() == 1 })
	list[2].irp.Cancel()
	if got := await(t, &list[2].irp); got != wsk.STATUS_CANCELLED {
		t.Errorf("cancelled: %v", got)
	}
	ep.Abort()
	for _, i := range []int{0, 1, 3} {
		if got := await(t, &list[i].irp); got != wsk.STATUS_CANCELLED {
			t.Errorf("aborted: %v", got)
		}
	}
}
