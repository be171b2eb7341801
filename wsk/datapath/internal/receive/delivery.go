// SPDX-License-Identifier: Apache-2.0

package receive

import "github.com/wsk-xdp/wsk-xdp/wsk"

// Delivery collects the datagrams of one look at a ring or a socket by endpoint, in the order of arrival, each list
// of one cast. It belongs to one goroutine.
type Delivery struct{ lists []deliveryList }

type deliveryList struct {
	to         *Sink
	head, tail *wsk.Datagram
	n          int
}

// Add appends a datagram to what an endpoint gets.
func (o *Delivery) Add(to *Sink, d *wsk.Datagram) {
	d.Next = nil
	// The endpoint of the last datagram is nearly always that of the next; a list of another cast is followed by a
	// new one.
	for i := len(o.lists) - 1; i >= 0; i-- {
		l := &o.lists[i]
		if l.to != to {
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
	o.lists = append(o.lists, deliveryList{to, d, d, 1})
}

// Flush hands every list over. No lock is held.
func (o *Delivery) Flush() {
	for i := range o.lists {
		l := &o.lists[i]
		l.to.deliver(l.head, l.n)
		*l = deliveryList{}
	}
	o.lists = o.lists[:0]
}
