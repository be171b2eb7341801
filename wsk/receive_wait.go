// SPDX-License-Identifier: Apache-2.0

package wsk

import "context"

// WaitReceive waits until irp, a pending [Socket.ReceiveFrom] of this socket, has completed; the result is in irp.IoStatus.
// It is [IRP.Wait] without a context, and may be faster: where one datagram answers the other, the calling goroutine reads
// the ring or the kernel's socket itself instead of being woken. [IRP.Cancel] and [Socket.Close] end it. It must not be
// called from a completion routine. It is for sockets without an event callback all of whose receives are waited for in this
// way; on others it only waits. WSK has no such function.
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
