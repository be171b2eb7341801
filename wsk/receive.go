// SPDX-License-Identifier: Apache-2.0

package wsk

// receiveOp is one accepted WskReceiveFrom, embedded in its IRP.
type receiveOp struct {
	buf           Buf
	remote        SOCKADDR
	control       []byte // as much of it as *controlLength allows
	controlLength *uint32
	controlFlags  *uint32
	datagram      *Datagram // what arrived for it: one, or a run
}

// ReceiveFrom is WskReceiveFrom: it takes the oldest datagram that is buffered, or waits for the next. Receives that
// wait are served in the order of their calls, and before the event callback. The payload goes into buf. remote, if not
// nil, takes the sender's address, 16 or 28 bytes in the form of the socket's family; on an AF_INET6 socket IPv4
// senders are v4-mapped. control takes the control data objects that the socket's options ask for, see [CMsgs].
// *controlLength is its size at the call, never more than len(control), and afterwards the number of bytes used, 0 when
// there are no objects. With a nil controlLength control is not used. controlFlags, if not nil, takes MSG_TRUNC,
// MSG_CTRUNC, MSG_BCAST and MSG_MCAST. flags is reserved and must be 0.
//
// Until irp completes the MDL chain and everything that the arguments point to belong to the provider; buf itself and
// the value of *controlLength are read during the call. Only a completion with STATUS_SUCCESS or STATUS_BUFFER_OVERFLOW
// writes.
//
// It returns STATUS_PENDING, or the status with which irp has completed:
//
//	STATUS_SUCCESS                 Information is the size of the payload, 0 for an empty datagram and for an ICMP error
//	                               (IP_RECVERR). The description of the error is in the control data, and remote is the
//	                               destination that it concerns.
//	STATUS_BUFFER_OVERFLOW         a warning, which NT_SUCCESS does not accept: the payload was longer than the buffer,
//	                               Information bytes were stored and the rest is lost. All else is as for a success.
//	STATUS_INVALID_PARAMETER       no IRP (nothing completes); flags; buf nil or against the rules of Buf; remote too
//	                               small
//	STATUS_INVALID_DEVICE_STATE    not bound
//	STATUS_INVALID_DEVICE_REQUEST  not a datagram socket
//	STATUS_NOT_SUPPORTED           the transport only sends
//	STATUS_CANCELLED               by Cancel or Close; no datagram is lost by that
//	STATUS_FILE_CLOSED
//	STATUS_FILE_FORCED_CLOSED
//
// With UDP_RECV_MAX_COALESCED_SIZE a receive takes with the oldest datagram those behind it of the same flow, sent and
// received alike and of the same size, the last may be shorter, as far as they are there, the option allows and the buffer has
// room: at most 64. UDP_COALESCED_INFO is their size.
//
// If control has no room for an object, that object and all that follow are left out, and MSG_CTRUNC is set.
//
// It may be called from completion routines and callbacks, also with the IRP that has just completed. It allocates
// nothing.
func (s *Socket) ReceiveFrom(buf *Buf, flags uint32, remote SOCKADDR, controlLength *uint32, control []byte,
	controlFlags *uint32, irp *IRP,
) NTSTATUS {
	if irp == nil {
		return STATUS_INVALID_PARAMETER
	}
	cancelled := irp.begin()
	sn := s.enter()
	status := sn.admit(cancelled, flags)
	op := &irp.receive
	if status == STATUS_SUCCESS {
		status = op.capture(buf)
	}
	if status == STATUS_SUCCESS {
		status = sn.receivable(remote)
	}
	if status != STATUS_SUCCESS {
		*op = receiveOp{}
		return s.answer(irp, status, 0)
	}
	op.remote, op.controlLength, op.controlFlags = remote, controlLength, controlFlags
	if controlLength != nil {
		op.control = control[:min(uint64(*controlLength), uint64(len(control)))]
	}
	return s.queueReceive(irp)
}

// receivable is the part of the checks that looks at the socket's state and at the address buffer.
func (sn *snapshot) receivable(remote SOCKADDR) NTSTATUS {
	switch {
	case sn.endpoint == nil:
		return STATUS_INVALID_DEVICE_REQUEST
	case sn.bind != bound:
		return STATUS_INVALID_DEVICE_STATE
	case remote != nil && len(remote) < sizeofSockaddr(sn.family):
		return STATUS_INVALID_PARAMETER
	case !sn.receives:
		return STATUS_NOT_SUPPORTED
	}
	return STATUS_SUCCESS
}

func (op *receiveOp) capture(buf *Buf) NTSTATUS {
	if buf == nil {
		return STATUS_INVALID_PARAMETER
	}
	op.buf = *buf // one read, then the check of what was read
	if !op.buf.valid() {
		return STATUS_INVALID_PARAMETER
	}
	return STATUS_SUCCESS
}

// queueReceive serves the IRP from the buffer, or has it wait.
func (s *Socket) queueReceive(irp *IRP) NTSTATUS {
	r := &s.recv
	r.mu.Lock()
	status := r.ended
	if d := r.buffer.pop(); d != nil {
		sn := s.snap.Load()
		run := beginRun(d, irp.receive.buf.Length, sn.maxCoalesced)
		for next := r.buffer.head; next != nil && run.takes(next); next = r.buffer.head {
			run.add(r.buffer.pop())
		}
		r.stats.Delivered += uint64(run.n)
		r.mu.Unlock()
		status, n := irp.receive.fill(sn, d)
		return s.answer(irp, status, n)
	}
	if status == STATUS_SUCCESS {
		irp.PendingReturned = true
		irp.wait.socket = s
		r.irps.push(irp)
		if irp.arm(s) {
			r.mu.Unlock()
			s.calls.End()
			return STATUS_PENDING
		}
		r.irps.remove(irp)
		irp.wait.socket = nil
		irp.PendingReturned = false
		status = STATUS_CANCELLED
	}
	r.mu.Unlock()
	irp.receive = receiveOp{}
	return s.answer(irp, status, 0)
}

// cancelIRP implements irpCanceller for receives.
func (s *Socket) cancelIRP(irp *IRP) {
	s.recv.mu.Lock()
	s.recv.irps.remove(irp)
	s.recv.mu.Unlock()
	irp.receive = receiveOp{}
	irp.completeWait(STATUS_CANCELLED, 0)
}

// completeReceives ends a chain of receives, linked by wait.next, each with its datagram. No lock is held.
func (s *Socket) completeReceives(sn *snapshot, chain *IRP) {
	irp := chain
	defer func() { // as in completeAll
		if irp != nil {
			s.completeReceives(sn, irp)
		}
	}()
	for irp != nil {
		done := irp
		irp = done.wait.next // the IRP is its client's again after completion
		done.wait.next = nil
		status, n := done.receive.fill(sn, done.receive.datagram)
		done.completeWait(status, n)
	}
}

// fill copies a datagram, or a run, to where the client wants it, and gives it back to its lender. An op that is not in use
// keeps no memory of its client alive.
func (op *receiveOp) fill(sn *snapshot, d *Datagram) (NTSTATUS, uintptr) {
	isRun := d.Next != nil
	var n int
	if isRun {
		n = op.buf.fillRun(d)
		d.Segment = uint16(len(d.Payload))
	} else {
		n = op.buf.fill(d.Payload)
	}
	status, flags := STATUS_SUCCESS, d.Cast.flags()
	if n < len(d.Payload) {
		status, flags = STATUS_BUFFER_OVERFLOW, flags|MSG_TRUNC
	}
	if op.remote != nil {
		putAddress(op.remote, sn.family, &d.Source)
	}
	if op.controlLength != nil {
		used, whole := sn.receiveControl(op.control, d)
		if !whole {
			flags |= MSG_CTRUNC
		}
		*op.controlLength = uint32(used)
	}
	if op.controlFlags != nil {
		*op.controlFlags = flags
	}
	*op = receiveOp{}
	if isRun {
		d.Segment = 0 // it is its lender's again
		releaseAll(d)
	} else {
		d.Release()
	}
	return status, uintptr(n)
}

// fill stores as much of payload as fits, and returns how much that is.
func (b *Buf) fill(payload []byte) int {
	n := 0
	for c := b.Cursor(0); n < len(payload); {
		piece := c.Next(len(payload) - n)
		if len(piece) == 0 {
			break
		}
		n += copy(piece, payload[n:])
	}
	return n
}

// flags are the MSG_ flags of a cast.
func (c Cast) flags() uint32 {
	switch c {
	case Broadcast:
		return MSG_BCAST
	case Multicast:
		return MSG_MCAST
	}
	return 0
}
