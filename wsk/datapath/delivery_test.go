// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestDelivery: each endpoint gets its datagrams in the order of arrival, in lists of one cast, whatever is mixed in between.
//
// wsk.md §8.1: the flags describe the whole list.
func TestDelivery(t *testing.T) {
	h := new(hub)
	type seen struct {
		cast    wsk.Cast
		payload string
	}
	var lists [2][]seen
	var sinks [2]*sink
	for i := range sinks {
		s := newCatcher(t)
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
		sinks[i] = &sink{hub: h, receiver: s}
		sinks[i].receiving.Store(true)
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
			c := h.copies.take(1)
			c.buf[0] = step.payload[0]
			d := c.fill(1)
			d.Cast = step.cast
			out.add(sinks[step.ep], d)
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
	// A sink that is closed or does not receive yet gets nothing, and the datagrams go home.
	sinks[0].deliveries.Close()
	sinks[0].deliveries.Wait()
	sinks[1].receiving.Store(false) // as before the success of Bind
	for i, s := range sinks {
		c := h.copies.take(1)
		out.add(s, c.fill(1))
		out.flush()
		if len(lists[i]) != 0 || c.lent.Load() || h.late.Load() != uint64(i+1) {
			t.Errorf("sink %d: %v delivered, lent %v, %d late", i, lists[i], c.lent.Load(), h.late.Load())
		}
	}
}
