// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"sync"
	"sync/atomic"
)

// receiver is the receiving half of a socket. What arrives goes to the oldest receive that waits, else to the event
// callback, else into the buffer, which has a limit. Never do receives wait while there is something in
// the buffer, and never is something in the buffer while the callback is called directly.
type receiver struct {
	mu     sync.Mutex
	ended  NTSTATUS // why nothing is received any more, STATUS_SUCCESS while it is
	irps   irpList
	buffer datagramList
	limit  uint64 // of buffer.charge, see takes
	nodes  indicationPool
	events eventState
	stats  ReceiveStatistics

	came   atomic.Uint32 // ICMP errors that were buffered
	looked atomic.Uint32 // of these, those that TakeError has looked for; see there
}

// ReceiveStatistics counts what has become of the datagrams of a socket.
type ReceiveStatistics struct {
	// Delivered were handed to a receive or accepted by the callback.
	Delivered uint64
	// Overflowed were dropped because the buffer (SO_RCVBUF) was full.
	Overflowed uint64
	// Filtered were dropped because the socket does not want them: another sender than the fixed one, broadcasts with
	// IP_RECEIVE_BROADCAST off, the host's own multicasts with IP_MULTICAST_LOOP off, an IP version that the socket
	// does not receive.
	Filtered uint64
	// Errors are ICMP errors that were dropped because nobody asked for them.
	Errors uint64
	// Refused were dropped because the callback did not accept them: a static one answered STATUS_DATA_NOT_ACCEPTED, or
	// any one answered a status that has no meaning there.
	Refused uint64
	// Discarded were in the buffer when the socket ended.
	Discarded uint64
	// Buffered are in the buffer now.
	Buffered int
	// Retained are the indications that the client keeps now. After Close there should be none.
	Retained int
}

// ReceiveStatistics returns the counters. WSK has no such function. It may be called at any time, after Close too.
func (s *Socket) ReceiveStatistics() ReceiveStatistics {
	r := &s.recv
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := r.stats
	stats.Buffered = r.buffer.count
	return stats
}

// datagramOverhead is what a buffered datagram costs besides its payload: the structures for it, of the transport and here.
const datagramOverhead = 256

// defaultReceiveBuffer is SO_RCVBUF of a new socket. On Windows the default is up to the transport.
const defaultReceiveBuffer = 1 << 20

// datagramList is a FIFO of datagrams, linked by Next.
type datagramList struct {
	head, tail *Datagram
	count      int
	errors     int // of them, ICMP errors
	charge     uint64
}

func (l *datagramList) push(d *Datagram) {
	d.Next = nil
	if l.tail == nil {
		l.head = d
	} else {
		l.tail.Next = d
	}
	l.tail = d
	l.count++
	l.charge += d.charge()
	if d.Err != nil {
		l.errors++
	}
}

func (l *datagramList) pop() *Datagram {
	d := l.head
	if d == nil {
		return nil
	}
	l.head = d.Next
	if l.head == nil {
		l.tail = nil
	}
	l.less(d)
	return d
}

// less is for a datagram that is not on the list any more.
func (l *datagramList) less(d *Datagram) {
	d.Next = nil
	l.count--
	l.charge -= d.charge()
	if d.Err != nil {
		l.errors--
	}
}

// prepend moves all of front before all of l.
func (l *datagramList) prepend(front *datagramList) {
	if front.head == nil {
		return
	}
	front.tail.Next = l.head
	l.head = front.head
	if l.tail == nil {
		l.tail = front.tail
	}
	l.count += front.count
	l.errors += front.errors
	l.charge += front.charge
}

// charge is what a datagram counts in the buffer: the memory that it keeps occupied, so that strangers can't fill more of it
// with small datagrams than with large ones.
func (d *Datagram) charge() uint64 {
	return max(uint64(len(d.Payload)), uint64(d.Memory)) + datagramOverhead
}

// releaseAll gives a list back to its lenders. No lock is held.
func releaseAll(list *Datagram) {
	for d := list; d != nil; {
		next := d.Next
		d.Next = nil
		d.Release()
		d = next
	}
}

// Receive implements Receiver.
func (e *endpointEvents) Receive(list *Datagram) {
	s := (*Socket)(e)
	s.calls.Add(1)
	defer s.calls.End()
	s.deliver(list)
}

// deliver finds a taker for each datagram of a list. The lock is let go whenever the client is called. Afterwards the
// rest of the list is looked at anew: the client may have passed another receive, or changed its mind about what it
// wants.
func (s *Socket) deliver(list *Datagram) {
	r := &s.recv
	var sn *snapshot
	var dropped *Datagram
	r.mu.Lock()
	for list != nil {
		if now := s.snap.Load(); now != sn {
			sn = now
			if list = s.accept(sn, list, &dropped); list == nil {
				break
			}
		}
		switch {
		case r.ended != STATUS_SUCCESS:
			r.stats.Discarded += uint64(drop(list, &dropped))
			list = nil
		case !r.irps.empty():
			var chain *IRP
			chain, list = r.pair(sn, list)
			r.mu.Unlock()
			s.completeReceives(sn, chain)
			r.mu.Lock()
		case r.events.direct():
			batch := s.begin(&list)
			r.mu.Unlock()
			s.indicate(sn, &batch)
			r.mu.Lock()
		default:
			r.store(list, &dropped)
			list = nil
		}
	}
	r.mu.Unlock()
	releaseAll(dropped)
}

// drop moves a list onto another and returns how many there were.
func drop(list *Datagram, dropped **Datagram) (n int) {
	for d := list; d != nil; n++ {
		next := d.Next
		d.Next = *dropped
		*dropped = d
		d = next
	}
	return n
}

// pair gives datagrams to waiting receives, oldest to oldest, and returns the receives and the datagrams left over.
// The mutex is held.
func (r *receiver) pair(sn *snapshot, list *Datagram) (chain *IRP, rest *Datagram) {
	end := &chain
	for list != nil {
		irp := r.irps.take()
		if irp == nil {
			break
		}
		d := list
		list = d.Next
		d.Next = nil
		irp.receive.datagram = d
		run := beginRun(d, irp.receive.buf.Length, sn.maxCoalesced)
		for list != nil && run.takes(list) {
			next := list.Next
			run.add(list)
			list = next
		}
		r.stats.Delivered += uint64(run.n)
		*end = irp
		end = &irp.wait.next
	}
	return chain, list
}

// takes reports whether the buffer takes one more: as on Linux the last one may go beyond the limit, so that a buffer that
// takes anything takes a datagram of any size. A full one takes an error if it has none: there it is no part of the buffer.
func (r *receiver) takes(d *Datagram) bool {
	return r.buffer.charge < r.limit || d.Err != nil && r.buffer.errors == 0 && r.limit != 0
}

// store buffers as much of a list as there is room for and drops the rest, the newest. The mutex is held.
func (r *receiver) store(list *Datagram, dropped **Datagram) {
	for d := list; d != nil; {
		next := d.Next
		if !r.takes(d) {
			d.Next = nil
			r.stats.Overflowed += uint64(drop(d, dropped))
		} else {
			d.Lender.Keep(d)
			r.buffer.push(d)
			if d.Err != nil {
				r.came.Add(1)
			}
		}
		d = next
	}
}

// trim drops the newest datagrams of the buffer, all that it would not take. The mutex is held.
func (r *receiver) trim(dropped **Datagram) {
	if r.buffer.charge <= r.limit {
		return
	}
	old := r.buffer
	r.buffer = datagramList{}
	for d := old.pop(); d != nil; d = old.pop() {
		if !r.takes(d) {
			r.stats.Overflowed += uint64(drop(d, dropped))
		} else {
			r.buffer.push(d)
		}
	}
}

// settle makes the buffer conform to options that have changed: what the socket no longer wants, and what no longer
// fits, is dropped. The snapshot with the changed options has been published.
func (s *Socket) settle() {
	r := &s.recv
	var dropped *Datagram
	r.mu.Lock()
	sn := s.snap.Load()
	r.limit = uint64(sn.receiveBuffer)
	if r.buffer.head != nil {
		list := s.accept(sn, r.buffer.head, &dropped)
		r.buffer = datagramList{}
		for d := list; d != nil; {
			next := d.Next
			r.buffer.push(d)
			d = next
		}
		r.trim(&dropped)
	}
	r.mu.Unlock()
	releaseAll(dropped)
}

// endReceive ends receiving, because the socket or its device has come to its end, as why says. Receives that wait end
// with status, the buffer is dropped, and no new call of the callback begins. If the device has gone, the client of a
// callback that was enabled is told.
//
// Preconditions: the caller counts as a call in the socket.
func (s *Socket) endReceive(why, status NTSTATUS) {
	r := &s.recv
	var dropped *Datagram
	r.mu.Lock()
	r.ended = why
	chain := r.irps.takeAll()
	r.stats.Discarded += uint64(drop(r.buffer.head, &dropped))
	r.buffer = datagramList{}
	farewell := r.events.end(why == STATUS_FILE_FORCED_CLOSED)
	r.mu.Unlock()
	releaseAll(dropped)
	completeAll(chain, status)
	s.provider.addresses.end(s, status)
	if farewell {
		s.indicateEnd()
	}
}
