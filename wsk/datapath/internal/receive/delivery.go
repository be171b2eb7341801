// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"slices"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Delivery collects the datagrams of one look at a ring or a socket by endpoint, in the order of arrival, each list
// of one cast. It belongs to one goroutine.
type Delivery struct {
	// Duty is the reading that it belongs to: callers who wait at a sink that gets something of it may attend to it.
	Duty  *Duty
	lists []deliveryList
}

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
		o.lists[i].flush(o.Duty)
	}
	o.lists = o.lists[:0]
}

func (l *deliveryList) flush(from *Duty) {
	l.to.broughtBy(from)
	l.to.deliver(l.head, l.n)
	*l = deliveryList{}
}

// flushTo hands over the lists of one sink, and reports whether that was all. The others stay, also when a routine panics.
func (o *Delivery) flushTo(own *Sink) bool {
	for i := 0; i < len(o.lists); {
		if l := o.lists[i]; l.to == own {
			o.lists = slices.Delete(o.lists, i, i+1)
			l.flush(o.Duty)
		} else {
			i++
		}
	}
	return o.IsEmpty()
}

// IsEmpty reports whether nothing has been collected.
func (o *Delivery) IsEmpty() bool { return len(o.lists) == 0 }
