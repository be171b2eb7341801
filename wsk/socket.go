// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"sync"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/internal/inflight"
)

// Socket is WSK_SOCKET: a socket of the datagram or the basic category. Its methods are the functions of
// WSK_PROVIDER_DATAGRAM_DISPATCH; on a basic socket only ControlSocket and Close are valid, and the others end in
// STATUS_INVALID_DEVICE_REQUEST.
//
// All methods are safe for concurrent use. None blocks but WaitReceive, and all others may be called from completion
// routines. Each call with an IRP completes it exactly once, and has done so when it returns anything but
// STATUS_PENDING. A call on a socket that has been closed ends in STATUS_FILE_CLOSED; on one whose device is gone, in
// STATUS_FILE_FORCED_CLOSED.
type Socket struct {
	// Read by every send, changed rarely.
	snap     atomic.Pointer[snapshot]
	client   *Client
	provider *provider
	context  any
	dispatch *ClientDatagramDispatch
	nested   nesting

	mu         sync.Mutex     // serialises changes of snap, and calls of Configure
	configured ReceiveOptions // guarded by mu
	closeIRP   *IRP           // set once, before calls are closed

	// calls counts the operations that have begun, each until its completion routine has returned, and the calls in
	// progress other than sends. When the last one is over the end of the socket begins.
	calls inflight.Calls

	recv receiver
}

// ClientDatagramDispatch is WSK_CLIENT_DATAGRAM_DISPATCH, the client's event callbacks for a datagram socket.
type ClientDatagramDispatch struct {
	// ReceiveFromEvent is WskReceiveFromEvent. It is called with a list of datagrams when it is enabled
	// (SO_WSK_EVENT_CALLBACK or WSK_SET_STATIC_EVENT_CALLBACKS) and no [Socket.ReceiveFrom] waits. flags are MSG_BCAST
	// and MSG_MCAST, which go for the whole list; WSK_FLAG_AT_DISPATCH_LEVEL is never set. A nil indication says that
	// the socket is dead; it comes once, after all other calls have returned, and the client then closes the socket.
	//
	// It answers
	//
	//	STATUS_SUCCESS            when it is done with the list;
	//	STATUS_PENDING            when it keeps the list, each node until it calls Socket.Release;
	//	STATUS_DATA_NOT_ACCEPTED  when it can't take the list now. That disables the callback, unless the client has
	//	                          enabled it again meanwhile; when it is enabled the datagrams come again, in their
	//	                          order. A static callback can't be disabled: what it does not accept goes to receives
	//	                          that wait, and is dropped if there are none.
	//
	// After any other answer the list is dropped. In no case are nodes touched that the client has released.
	//
	// The calls come from the transport's goroutines, several at once, one for each of its receive queues: in order
	// within a flow, in no order between flows. No lock is held: it may call everything here but [Deregister] and
	// [IRP.Wait], and also Close of its own socket, which completes after it has returned. It must not block.
	ReceiveFromEvent func(socketContext any, flags uint32, indication *DatagramIndication) NTSTATUS
}

// enter counts a call that begins, and its operation: calls.End ends the one, calls.Finish the other. It comes before
// the look at snap, so that a call either sees the socket closed or is waited for by Close. A call that sees it closed
// is counted too, and touches nothing that Close takes away.
func (s *Socket) enter() *snapshot {
	s.calls.Add(2)
	return s.snap.Load()
}

// enterSend counts the operation of a send, but not the call. That is enough: while the transport has the operation the
// socket does not end, and once the transport has it the call touches nothing any more that Close takes away.
func (s *Socket) enterSend() *snapshot {
	s.calls.Add(1)
	return s.snap.Load()
}

// answer completes the IRP of a call that is done at once, ends the call, and gives what the call returns.
func (s *Socket) answer(irp *IRP, status NTSTATUS, information uintptr) NTSTATUS {
	if s.nested.enter() {
		defer s.nested.exit()
		s.calls.Finish(1) // before the routine, which may wait for a close that waits for this
		s.calls.End()
		irp.complete(status, information)
		return status
	}
	irp.PendingReturned = true
	go func() {
		irp.complete(status, information)
		s.calls.Finish(1)
	}()
	s.calls.End()
	return STATUS_PENDING
}

// admit is rows 2 to 4 of docs/wsk-mapping.md, status of a send, which apply to every call that takes flags.
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

// update publishes a changed copy of the snapshot. change may refuse; then nothing is published. Once a socket is
// closed or dead, all that still changes is refuse.
func (s *Socket) update(change func(sn *snapshot) NTSTATUS) NTSTATUS {
	s.mu.Lock()
	defer s.mu.Unlock()
	sn := *s.snap.Load()
	if status := change(&sn); status != STATUS_SUCCESS {
		return status
	}
	sn.derive()
	s.snap.Store(&sn)
	s.configure(&sn)
	return STATUS_SUCCESS
}

// configure tells the transport which options it is to receive by, once the socket is bound. s.mu is held.
func (s *Socket) configure(sn *snapshot) {
	if !sn.receives || sn.bind != bound || sn.refuse != STATUS_SUCCESS {
		return
	}
	if options := sn.receiveOptions(); options != s.configured {
		s.configured = options
		sn.endpoint.(ReceivingEndpoint).Configure(options)
	}
}

// endpointEvents is the socket as its endpoint sees it.
type endpointEvents Socket

// Dead implements EndpointEvents.
func (e *endpointEvents) Dead() {
	s := (*Socket)(e)
	s.calls.Add(1)
	defer s.calls.End()
	s.update(func(sn *snapshot) NTSTATUS {
		if sn.refuse == STATUS_SUCCESS {
			sn.refuse = STATUS_FILE_FORCED_CLOSED
		}
		return STATUS_SUCCESS
	})
	s.endReceive(STATUS_FILE_FORCED_CLOSED, STATUS_FILE_FORCED_CLOSED)
}

// nesting limits how deep completions inside of calls may nest: a routine that passes its IRP to a call that fails at
// once runs again inside that call, and so on for ever. Beyond the limit a call returns STATUS_PENDING and completes
// from a goroutine of its own.
type nesting struct{ depth atomic.Int32 }

// maxNesting is generous: nobody nests on purpose, but that many goroutines may have calls that fail at the same
// moment.
const maxNesting = 16

func (n *nesting) enter() bool {
	if n.depth.Add(1) > maxNesting {
		n.depth.Add(-1)
		return false
	}
	return true
}

func (n *nesting) exit() { n.depth.Add(-1) }
