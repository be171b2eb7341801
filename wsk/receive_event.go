// SPDX-License-Identifier: Apache-2.0

package wsk

// eventState says whether and how the event callback of a socket is called. The receiver's mutex guards it.
type eventState struct {
	enabled  bool
	static   bool // enabled for good, by WSK_SET_STATIC_EVENT_CALLBACKS
	open     bool // the bind has completed
	draining bool // a goroutine hands out what is buffered; what arrives goes behind it
	keep     bool // the client retains indications
	farewell bool // a nil indication is due once no callback runs any more

	running int
	epoch   uint64  // counts disablings
	enables uint64  // counts enablings
	waiting irpList // of disablings, for callbacks to return
}

// direct reports whether what arrives goes to the callback at once.
func (e *eventState) direct() bool { return e.enabled && e.open && !e.draining }

// end disables the callback for good. With farewell, the client of a callback that was enabled is to be told. end
// reports true when the caller has to do that; otherwise the callback that returns last does.
func (e *eventState) end(farewell bool) bool {
	e.farewell = farewell && e.enabled
	e.disable()
	return e.takeFarewell()
}

// takeFarewell reports whether the nil indication is due now, and counts its callback as running.
func (e *eventState) takeFarewell() bool {
	if !e.farewell || !e.open || e.running != 0 {
		return false
	}
	e.farewell = false
	e.running++
	return true
}

// batch is one call of the callback.
type batch struct {
	first   *indication
	cast    Cast
	epoch   uint64
	enables uint64
}

// maxIndicated is the most datagrams in one call of the callback.
const maxIndicated = 64

// begin takes datagrams of one cast off a list, which is not empty, and counts the call of the callback as running. The
// mutex is held.
func (s *Socket) begin(list **Datagram) batch {
	r := &s.recv
	b := batch{cast: (*list).Cast, epoch: r.events.epoch, enables: r.events.enables}
	end := &b.first
	limit := maxIndicated
	for d := *list; d != nil && d.Cast == b.cast && limit > 0; limit-- {
		next := d.Next
		d.Next = nil
		if r.events.keep {
			d.Lender.Keep(d)
		}
		node := r.nodes.get(s)
		node.datagram, node.busy = d, true
		*end = node
		end = &node.link
		d = next
		*list = d
	}
	r.events.running++
	return b
}

// indicate calls the callback with a batch and acts on its answer. No lock is held; the caller counts as a call in the
// socket.
func (s *Socket) indicate(sn *snapshot, b *batch) {
	for node := b.first; node != nil; node = node.link {
		node.describe(sn)
		if node.link != nil {
			node.Next = &node.link.DatagramIndication
		}
	}
	status := s.dispatch.ReceiveFromEvent(s.context, b.cast.flags(), &b.first.DatagramIndication)

	r := &s.recv
	var over *Datagram
	var refused datagramList
	r.mu.Lock()
	retained := 0
	for node := b.first; node != nil; {
		next := node.link
		node.link, node.busy = nil, false
		d := node.datagram
		if d != nil && status == STATUS_PENDING {
			retained++
		} else {
			node.datagram = nil
			r.nodes.put(node)
		}
		switch {
		case d == nil || status == STATUS_SUCCESS || status == STATUS_PENDING:
			r.stats.Delivered++
			if status != STATUS_PENDING && d != nil {
				drop(d, &over)
			}
		case status == STATUS_DATA_NOT_ACCEPTED:
			refused.push(d)
		default:
			r.stats.Refused += uint64(drop(d, &over))
		}
		node = next
	}
	r.stats.Retained += retained
	r.events.keep = retained != 0
	var chain *IRP
	if refused.head != nil {
		chain = r.putBack(sn, &refused, b, &over)
	}
	r.events.running--
	ended := r.events.returned(b.epoch)
	farewell := r.events.takeFarewell()
	s.drainIfDue()
	r.mu.Unlock()
	releaseAll(over)
	s.completeReceives(sn, chain)
	completeAll(ended, STATUS_SUCCESS)
	if farewell {
		s.indicateEnd()
	}
}

// putBack is STATUS_DATA_NOT_ACCEPTED. The datagrams go to receives that wait, or else to the front of the buffer,
// since nothing in there is older, and the callback is disabled. If the client has enabled it again while it was
// running, it stays enabled; otherwise that enabling would be lost, and the callback never called again. A static
// callback can't be disabled, so nothing would ever fetch what it refuses: that is dropped. The mutex is held.
func (r *receiver) putBack(sn *snapshot, refused *datagramList, b *batch, over **Datagram) (chain *IRP) {
	if r.ended != STATUS_SUCCESS {
		r.stats.Discarded += uint64(drop(refused.head, over))
		return nil
	}
	if !r.events.static && r.events.enables == b.enables {
		r.events.disable()
	}
	chain, rest := r.pair(sn, refused.head)
	if r.events.static {
		r.stats.Refused += uint64(drop(rest, over))
		return chain
	}
	var left datagramList
	for d := rest; d != nil; {
		next := d.Next
		d.Lender.Keep(d)
		left.push(d)
		d = next
	}
	r.buffer.prepend(&left)
	r.trim(over)
	return chain
}

// disable sees to it that no new call of the callback begins.
func (e *eventState) disable() {
	if e.enabled {
		e.enabled = false
		e.epoch++
	}
}

// returned takes a callback that has returned off the count of every disabling that waits for it. It returns the IRPs
// of the disablings that wait for no other.
func (e *eventState) returned(epoch uint64) (ended *IRP) {
	end := &ended
	for irp := e.waiting.head; irp != nil; {
		next := irp.wait.next
		if epoch < irp.wait.epoch {
			if irp.wait.left--; irp.wait.left == 0 {
				e.waiting.remove(irp)
				*end = irp
				end = &irp.wait.next
			}
		}
		irp = next
	}
	return ended
}

// indicateEnd tells the client that the socket is dead. The call of the callback has been counted as running.
func (s *Socket) indicateEnd() {
	s.dispatch.ReceiveFromEvent(s.context, 0, nil)
	r := &s.recv
	r.mu.Lock()
	r.events.running--
	ended := r.events.returned(0)
	r.mu.Unlock()
	completeAll(ended, STATUS_SUCCESS)
}

// drainIfDue begins to hand out what is buffered, if the callback is enabled. It does so on a goroutine of its own,
// because the call that has enabled the callback may come from a client that holds locks which the callback takes. The
// mutex is held, and the caller counts as a call in the socket.
func (s *Socket) drainIfDue() {
	e := &s.recv.events
	if !e.direct() || s.recv.buffer.head == nil {
		return
	}
	e.draining = true
	s.calls.Add(1)
	go s.drain()
}

func (s *Socket) drain() {
	r := &s.recv
	r.mu.Lock()
	for r.events.enabled && r.buffer.head != nil {
		list := r.buffer.popRun(maxIndicated)
		b := s.begin(&list)
		sn := s.snap.Load()
		r.mu.Unlock()
		s.indicate(sn, &b)
		r.mu.Lock()
	}
	r.events.draining = false
	r.mu.Unlock()
	s.calls.End()
}

// popRun takes up to limit datagrams of one cast off the front.
func (l *datagramList) popRun(limit int) (run *Datagram) {
	end := &run
	for ; limit > 0 && l.head != nil && (run == nil || l.head.Cast == run.Cast); limit-- {
		*end = l.pop()
		end = &(*end).Next
	}
	return run
}

// opened is called when the bind has completed: only now does the client know its socket. What has arrived meanwhile is
// handed out.
func (s *Socket) opened() {
	r := &s.recv
	r.mu.Lock()
	r.events.open = true
	farewell := r.events.takeFarewell()
	s.drainIfDue()
	r.mu.Unlock()
	if farewell {
		s.indicateEnd()
	}
}
