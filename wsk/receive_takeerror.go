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
	r.looked.Store(r.came.Load())
	var rest datagramList
	var taken *Datagram
	for d := r.buffer.pop(); d != nil; d = r.buffer.pop() {
		switch {
		case d.Err == nil:
			rest.push(d)
		case taken == nil:
			taken = d
		default:
			rest.push(d)
			r.looked.Store(r.came.Load() - 1) // look again
		}
	}
	r.buffer = rest
	r.mu.Unlock()
	if taken == nil {
		return e, false
	}
	e = *taken.Err
	taken.Release()
	return e, true
}
