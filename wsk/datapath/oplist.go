// SPDX-License-Identifier: Apache-2.0

package datapath

import "github.com/wsk-xdp/wsk-xdp/wsk"

// opList is an intrusive FIFO of operations. The lock of whoever holds the list guards it and the links of its members.
type opList struct {
	head, tail *wsk.SendOp
	n          int
}

func (l *opList) pushBack(op *wsk.SendOp) {
	t := &op.Transport
	t.Prev, t.Next, t.Linked = l.tail, nil, true
	if l.tail == nil {
		l.head = op
	} else {
		l.tail.Transport.Next = op
	}
	l.tail = op
	l.n++
}

func (l *opList) remove(op *wsk.SendOp) {
	t := &op.Transport
	if t.Prev == nil {
		l.head = t.Next
	} else {
		t.Prev.Transport.Next = t.Next
	}
	if t.Next == nil {
		l.tail = t.Prev
	} else {
		t.Next.Transport.Prev = t.Prev
	}
	t.Prev, t.Next, t.Linked = nil, nil, false
	l.n--
}

func (l *opList) popFront() *wsk.SendOp {
	op := l.head
	if op != nil {
		l.remove(op)
	}
	return op
}

// take empties the list into the result.
func (l *opList) take() opList {
	all := *l
	*l = opList{}
	return all
}

// appendList moves all of other behind the members of l.
func (l *opList) appendList(other *opList) {
	if other.head == nil {
		return
	}
	if l.tail == nil {
		*l = *other
	} else {
		l.tail.Transport.Next = other.head
		other.head.Transport.Prev = l.tail
		l.tail = other.tail
		l.n += other.n
	}
	*other = opList{}
}
