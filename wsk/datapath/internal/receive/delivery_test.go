// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestDelivery: each endpoint gets its datagrams in the order of arrival, in lists of one cast, whatever is mixed in
// between.
//
// The flags describe the whole list.
func TestDelivery(t *testing.T) {
	h := new(Hub)
	type seen struct {
		cast    wsk.Cast
		payload string
	}
	var lists [2][]seen
	var sinks [2]*Sink
	for i := range sinks {
		sinks[i] = h.NewSink(receiverFunc(func(list *wsk.Datagram) {
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
		}))
		sinks[i].Open()
	}
	var out Delivery
	for round := range 2 {
		for _, step := range []struct {
			ep      int
			cast    wsk.Cast
			payload string
		}{
			{0, wsk.Unicast, "a"}, {1, wsk.Unicast, "A"}, {0, wsk.Unicast, "b"}, {0, wsk.Multicast, "c"}, {1, wsk.Unicast, "B"},
			{0, wsk.Multicast, "d"}, {0, wsk.Unicast, "e"}, {1, wsk.Broadcast, "C"},
		} {
			c := h.Buffers.Get(1)
			c.Bytes[0] = step.payload[0]
			d := c.Datagram(1)
			d.Cast = step.cast
			out.Add(sinks[step.ep], d)
		}
		out.Flush()
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
	sinks[0].Shut()
	sinks[0].Wait()
	sinks[1].open.Store(false) // as before the success of Bind
	for i, s := range sinks {
		c := h.Buffers.Get(1)
		out.Add(s, c.Datagram(1))
		out.Flush()
		if len(lists[i]) != 0 || c.lent.Load() || h.Late() != uint64(i+1) {
			t.Errorf("sink %d: %v delivered, lent %v, %d late", i, lists[i], c.lent.Load(), h.Late())
		}
	}
}
