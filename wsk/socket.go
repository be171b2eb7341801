// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"sync"
	"sync/atomic"
)

// Socket is WSK_SOCKET: a socket of the datagram or the basic category. Its methods are the functions of
// WSK_PROVIDER_DATAGRAM_DISPATCH; on a basic socket only ControlSocket and Close are valid and the others end
// in STATUS_INVALID_DEVICE_REQUEST.
//
// All methods are safe for concurrent use, do not block and may be called from completion routines. Each call with
// an IRP completes it exactly once: before it returns if it returns anything but STATUS_PENDING. A call on a socket that
// has been closed ends in STATUS_FILE_CLOSED; on one whose device is gone, in STATUS_FILE_FORCED_CLOSED.
type Socket struct {
	// Read by every send, changed rarely.
	snap    atomic.Pointer[snapshot]
	closing atomic.Bool
	client  *Client
	context any
	events  *ClientDatagramDispatch
	nested  nesting

	mu       sync.Mutex // serialises changes of snap
	closeIRP *IRP       // set once, before closing

	_ [64]byte // the counters of callers and those of completers on cache lines of their own

	// entered and left count calls into the socket.
	entered, left atomic.Uint64

	_ [64]byte

	// finished counts calls whose IRP has completed, or that had none. The end of a socket begins when all three agree.
	finished atomic.Uint64
	torn     atomic.Bool
}

// ClientDatagramDispatch is WSK_CLIENT_DATAGRAM_DISPATCH, the client's event callbacks for a datagram socket.
type ClientDatagramDispatch struct {
	// ReceiveFromEvent is WskReceiveFromEvent. indication nil says that the socket is dead.
	ReceiveFromEvent func(socketContext any, flags uint32, indication *DatagramIndication) NTSTATUS
}

// DatagramIndication is WSK_DATAGRAM_INDICATION: a list of received datagrams lent to the client.
type DatagramIndication struct {
	Next          *DatagramIndication
	Buffer        Buf
	ControlInfo   []byte
	RemoteAddress SOCKADDR
}

// enter counts a call that begins. It comes before the look at snap, so that a call either sees the socket closed
// or is waited for by Close.
func (s *Socket) enter() *snapshot {
	s.entered.Add(1)
	return s.snap.Load()
}

// leave counts a call that is about to return, having touched the endpoint for the last time.
func (s *Socket) leave() {
	s.left.Add(1)
	if s.closing.Load() {
		s.tearDown()
	}
}

// finish counts a call whose IRP has completed and whose routine has returned.
func (s *Socket) finish() {
	s.finished.Add(1)
	if s.closing.Load() {
		s.tearDown()
	}
}

// answer ends a call with an IRP that is done at once, and gives what the call returns.
func (s *Socket) answer(irp *IRP, status NTSTATUS, information uintptr) NTSTATUS {
	if s.nested.enter() {
		s.finished.Add(1) // before the routine, which may wait for a close that waits for this
		s.leave()
		irp.complete(status, information)
		s.nested.exit()
		return status
	}
	irp.PendingReturned = true
	go func() {
		irp.complete(status, information)
		s.finish()
	}()
	s.leave()
	return STATUS_PENDING
}

// admit is rows 2 to 4 of wsk.md §2.6, which hold for every call that takes flags.
func (sn *snapshot) admit(cancelled bool, flags uint32) NTSTATUS {
	switch {
	case sn.refuse != STATUS_SUCCESS:
		return sn.refuse
	case cancelled:
		return STATUS_CANCELLED
	case flags != 0:
		return STATUS_INVALID_PARAMETER
	}
	return STATUS_SUCCESS
}

// update publishes a changed copy of the snapshot. change may refuse; then nothing is published. Of a socket that is
// closed or dead only the refusal changes any more.
func (s *Socket) update(change func(sn *snapshot) NTSTATUS) NTSTATUS {
	s.mu.Lock()
	defer s.mu.Unlock()
	sn := *s.snap.Load()
	if status := change(&sn); status != STATUS_SUCCESS {
		return status
	}
	sn.derive()
	s.snap.Store(&sn)
	return STATUS_SUCCESS
}

// endpointEvents is the socket as its endpoint sees it.
type endpointEvents Socket

// Dead implements EndpointEvents.
func (e *endpointEvents) Dead() {
	s := (*Socket)(e)
	s.update(func(sn *snapshot) NTSTATUS {
		if sn.refuse == STATUS_SUCCESS {
			sn.refuse = STATUS_FILE_FORCED_CLOSED
		}
		return STATUS_SUCCESS
	})
}

// nesting bounds how deep completions that happen inside a call may nest: a routine that passes its IRP again,
// to a call that fails at once, runs inside the first call, and so on for ever. Beyond the bound a call returns
// STATUS_PENDING and completes from a goroutine of its own.
type nesting struct{ depth atomic.Int32 }

// maxNesting is generous: nobody nests on purpose, but that many goroutines may fail at the same moment.
const maxNesting = 16

func (n *nesting) enter() bool {
	if n.depth.Add(1) > maxNesting {
		n.depth.Add(-1)
		return false
	}
	return true
}

func (n *nesting) exit() { n.depth.Add(-1) }
