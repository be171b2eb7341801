// SPDX-License-Identifier: Apache-2.0

package wsk

import "context"

// WaitReceive is [IRP.Wait] without a context for a receive of this socket that is pending, by a client who waits for its
// receives in no other way and has no event callback. Where one datagram comes after the other, the calling goroutine reads them
// itself meanwhile. WSK has no such function.
func (s *Socket) WaitReceive(irp *IRP) {
	if !s.attend(irp) { // else it may be in another call already
		_ = irp.Wait(context.Background())
	}
}

// attend reads, if the transport likes, until the IRP has completed or somebody else is to read. It reports whether it has waited
// for the completion. The end of the socket waits for it: the receive completes before that, and what is delivered here is this
// socket's.
func (s *Socket) attend(irp *IRP) (waited bool) {
	if !s.calls.Begin() {
		return false
	}
	defer s.calls.End() // also when a routine panics
	endpoint, ok := s.snap.Load().endpoint.(AttendedEndpoint)
	if !ok || s.dispatch != nil && s.dispatch.ReceiveFromEvent != nil {
		return false
	}
	reading := endpoint.Reading()
	if reading == nil {
		return false
	}
	w := irp.addWaiter(irp.begun, reading)
	if w == nil { // it has completed
		return true
	}
	endpoint.Attend(reading, w, s.recv.waitsAlone(irp))
	<-w.woken
	irp.putWaiter(w)
	return true
}

// waitsAlone reports whether no other receive waits.
func (r *receiver) waitsAlone(irp *IRP) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.irps.head == irp && r.irps.tail == irp
}
