// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestDelivery: each endpoint gets its datagrams in the order of arrival, in lists of one cast, whatever is mixed in between.
//
// wsk.md §8.1: the flags describe the whole list.
func TestDelivery(t *testing.T) {
	dp := new(Datapath)
	type seen struct {
		cast    wsk.Cast
		payload string
	}
	var lists [2][]seen
	var endpoints [2]*endpoint
	for i := range endpoints {
		s := newSink(t)
		s.hook = func(list *wsk.Datagram) {
			one := seen{cast: list.Cast}
			for list != nil {
				next := list.Next
				if list.Cast != one.cast {
					t.Errorf("casts %d and %d in a list", list.Cast, one.cast)
				}
				one.payload += string(list.Payload)
				list.Release()
				list = next
			}
			lists[i] = append(lists[i], one)
		}
		endpoints[i] = &endpoint{dp: dp, receiver: s}
		endpoints[i].gate.init()
		endpoints[i].gate.open()
	}
	var out delivery
	for round := range 2 {
		for _, step := range []struct {
			ep      int
			cast    wsk.Cast
			payload string
		}{
			{0, wsk.Unicast, "a"}, {1, wsk.Unicast, "A"}, {0, wsk.Unicast, "b"}, {0, wsk.Multicast, "c"}, {1, wsk.Unicast, "B"},
			{0, wsk.Multicast, "d"}, {0, wsk.Unicast, "e"}, {1, wsk.Broadcast, "C"},
		} {
			c := dp.copies.take(1)
			c.buf[0] = step.payload[0]
			d := c.fill(1)
			d.Cast = step.cast
			out.add(endpoints[step.ep], d)
		}
		out.flush()
		want := [2][]seen{
			{{wsk.Unicast, "ab"}, {wsk.Multicast, "cd"}, {wsk.Unicast, "e"}},
			{{wsk.Unicast, "AB"}, {wsk.Broadcast, "C"}},
		}
		for i := range want {
			if len(lists[i]) != len(want[i]) {
				t.Fatalf("round %d: endpoint %d got %v", round, i, lists[i])
			}
			for k := range want[i] {
				if lists[i][k] != want[i][k] {
					t.Errorf("round %d: endpoint %d got %v, want %v", round, i, lists[i], want[i])
				}
			}
		}
		lists = [2][]seen{}
	}
	// A closed endpoint gets nothing, and the datagrams go home.
	endpoints[0].gate.shut()
	endpoints[0].gate.drain()
	c := dp.copies.take(1)
	out.add(endpoints[0], c.fill(1))
	out.flush()
	if len(lists[0]) != 0 || c.lent.Load() || dp.stats.late.Load() != 1 {
		t.Errorf("%v delivered after the gate was shut, lent %v, %d late", lists[0], c.lent.Load(), dp.stats.late.Load())
	}
}

// TestGate: nobody is inside once drain has returned, and nobody gets in.
func TestGate(t *testing.T) {
	for range 300 {
		var g gate
		g.init()
		if g.enter() {
			t.Fatal("a gate that was never opened lets in")
		}
		g.open()
		var wg sync.WaitGroup
		var mu sync.Mutex
		gone := false
		for range 4 {
			wg.Go(func() {
				for g.enter() {
					mu.Lock()
					if gone {
						t.Error("inside a gate that was drained")
					}
					mu.Unlock()
					g.leave()
				}
			})
		}
		g.shut()
		g.drain()
		mu.Lock()
		gone = true
		mu.Unlock()
		wg.Wait()
	}
}
