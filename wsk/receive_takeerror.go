// SPDX-License-Identifier: Apache-2.0

package wsk

// TakeError takes the oldest ICMP error out of the socket's buffer, past the datagrams before it. The receives to come do
// not get it. WSK has no such function: it is for clients that report an error of the socket to whichever call comes next,
// as BSD sockets do. It costs a load where no error has come since the last call.
func (s *Socket) TakeError() (e ReceiveError, ok bool) {
	r := &s.recv
	if came := r.came.Load(); came == r.looked.Load() {
		return e, false
	}
	r.mu.Lock()
	taken := r.buffer.takeError()
	if r.buffer.errors == 0 {
		r.looked.Store(r.came.Load())
	}
	r.mu.Unlock()
	if taken == nil {
		return e, false
	}
	e = *taken.Err
	taken.Release()
	return e, true
}

// takeError takes the oldest error off the list, nil where there is none.
func (l *datagramList) takeError() *Datagram {
	if l.errors == 0 {
		return nil
	}
	var before *Datagram
	for d := l.head; d != nil; before, d = d, d.Next {
		if d.Err == nil {
			continue
		}
		if before == nil {
			l.head = d.Next
		} else {
			before.Next = d.Next
		}
		if l.tail == d {
			l.tail = before
		}
		l.less(d)
		return d
	}
	return nil
}
