// SPDX-License-Identifier: Apache-2.0

package ops

import "github.com/wsk-xdp/wsk-xdp/wsk"

// List is an intrusive FIFO of operations. The lock of whoever holds the list guards it and the links of its members.
type List struct {
	Head, tail *wsk.SendOp
	N          int
}

// Tail is the last of the list, nil of an empty one.
func (l *List) Tail() *wsk.SendOp { return l.tail }

func (l *List) PushBack(op *wsk.SendOp) {
	t := &op.Transport
	t.Prev, t.Next, t.Linked = l.tail, nil, true
	if l.tail == nil {
		l.Head = op
	} else {
		l.tail.Transport.Next = op
	}
	l.tail = op
	l.N++
}

func (l *List) Remove(op *wsk.SendOp) {
	t := &op.Transport
	if t.Prev == nil {
		l.Head = t.Next
	} else {
		t.Prev.Transport.Next = t.Next
	}
	if t.Next == nil {
		l.tail = t.Prev
	} else {
		t.Next.Transport.Prev = t.Prev
	}
	t.Prev, t.Next, t.Linked = nil, nil, false
	l.N--
}

func (l *List) PopFront() *wsk.SendOp {
	op := l.Head
	if op == nil {
		return nil
	}
	t := &op.Transport
	if l.Head = t.Next; l.Head == nil {
		l.tail = nil
	} else {
		l.Head.Transport.Prev = nil
	}
	t.Next, t.Linked = nil, false
	l.N--
	return op
}

// take empties the list into the result.
func (l *List) take() List {
	all := *l
	*l = List{}
	return all
}

// Append moves all of other behind the members of l.
func (l *List) Append(other *List) {
	if other.Head == nil {
		return
	}
	if l.tail == nil {
		*l = *other
	} else {
		l.tail.Transport.Next = other.Head
		other.Head.Transport.Prev = l.tail
		l.tail = other.tail
		l.N += other.N
	}
	*other = List{}
}
