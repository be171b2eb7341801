// SPDX-License-Identifier: Apache-2.0

package wsk

// Close is WskCloseSocket. From now on every call on the socket but Release ends in STATUS_FILE_CLOSED, a second Close
// too. Receives and sends that wait in the provider are cancelled with STATUS_CANCELLED; sends that are with the kernel
// already complete as they would have; what is buffered is dropped. When the last IRP has completed, the last event
// callback has returned and the port is free, irp completes with STATUS_SUCCESS. Indications that the client has kept
// are not released: it does that itself, before or after.
//
// It returns STATUS_PENDING. With a nil irp it returns STATUS_INVALID_PARAMETER and closes nothing. A cancelled IRP
// closes all the same. Close may be called from a completion routine or a callback of this very socket, and while other
// goroutines are in a call on it, which Windows forbids.
func (s *Socket) Close(irp *IRP) NTSTATUS {
	if irp == nil {
		return STATUS_INVALID_PARAMETER
	}
	irp.begin()
	s.enter()
	var endpoint Endpoint
	status := s.update(func(sn *snapshot) NTSTATUS {
		if sn.refuse == STATUS_FILE_CLOSED {
			return STATUS_FILE_CLOSED
		}
		sn.refuse = STATUS_FILE_CLOSED
		s.closeIRP = irp
		endpoint = sn.endpoint
		return STATUS_SUCCESS
	})
	if status != STATUS_SUCCESS {
		return s.answer(irp, status, 0)
	}
	irp.PendingReturned = true
	s.calls.Finish(1) // the end does not wait for the close IRP itself
	s.calls.Close()
	defer s.calls.End() // also when a routine panics that Abort or endReceive has called
	if endpoint != nil {
		endpoint.Abort()
	}
	s.endReceive(STATUS_FILE_CLOSED, STATUS_CANCELLED)
	return STATUS_PENDING
}

// tearDown begins the end: no call is in progress and no IRP pending. Whatever is called later sees the socket closed and
// does not touch the endpoint.
func (s *Socket) tearDown() {
	if endpoint := s.snap.Load().endpoint; endpoint != nil {
		endpoint.Close(s.closed)
		return
	}
	s.closed()
}

// closed completes the close. The client's registration is told last, so that no routine is running any more when
// Deregister returns.
func (s *Socket) closed() {
	irp := s.closeIRP
	s.closeIRP = nil
	defer s.client.socketGone()
	irp.complete(STATUS_SUCCESS, 0)
}
