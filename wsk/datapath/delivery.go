// SPDX-License-Identifier: Apache-2.0

package datapath

import "github.com/wsk-xdp/wsk-xdp/wsk"

// delivery collects the datagrams of one look at a ring or a socket by endpoint, in the order of arrival, each list of
// one cast. It belongs to one goroutine.
type delivery struct{ lists []deliveryList }

type deliveryList struct {
	ep         *endpoint
	head, tail *wsk.Datagram
	n          int
}

// add appends a datagram to what an endpoint gets.
func (o *delivery) add(ep *endpoint, d *wsk.Datagram) {
	d.Next = nil
	// The endpoint of the last datagram is nearly always that of the next; a list of another cast is followed by a new one.
	for i := len(o.lists) - 1; i >= 0; i-- {
		l := &o.lists[i]
		if l.ep != ep {
			continue
		}
		if l.head.Cast != d.Cast {
			break
		}
		l.tail.Next = d
		l.tail = d
		l.n++
		return
	}
	o.lists = append(o.lists, deliveryList{ep, d, d, 1})
}

// flush hands every list over. No lock is held.
func (o *delivery) flush() {
	for i := range o.lists {
		l := &o.lists[i]
		l.ep.deliver(l.head, l.n)
		*l = deliveryList{}
	}
	o.lists = o.lists[:0]
}

// deliver hands a list to the socket above, or back to its lenders when the endpoint does not receive yet or is closed. No
// lock is held.
func (ep *endpoint) deliver(list *wsk.Datagram, n int) {
	if ep.receiver == nil || !ep.receiving.Load() || !ep.deliveries.Begin() {
		ep.dp.stats.late.Add(uint64(n))
		for list != nil {
			next := list.Next
			list.Release()
			list = next
		}
		return
	}
	ep.receiver.Receive(list)
	ep.deliveries.End()
}
