// SPDX-License-Identifier: Apache-2.0

package wsk

// ProviderNPI is WSK_PROVIDER_NPI, filled in by [CaptureProviderNPI]. Its methods are the functions of
// WSK_PROVIDER_DISPATCH with npi.Client as their first argument. They may be called until [ReleaseProviderNPI], also
// from completion routines, and do not block.
type ProviderNPI struct {
	Client   *Client
	Dispatch *ProviderDispatch
}

// ProviderDispatch is WSK_PROVIDER_DISPATCH.
type ProviderDispatch struct {
	// Version is the highest version of the provider; its minor number may be above the one that the client asked for.
	Version  uint16
	Reserved uint16

	provider *provider
}

// EPROCESS and ETHREAD stand for the process and the thread that a call is made for. There is only one process here, so
// any value means that one, and so does nil.
type (
	EPROCESS struct{ _ byte }
	ETHREAD  struct{ _ byte }
)

// Socket is WskSocket: it makes a socket. family is AF_INET or AF_INET6, socketType SOCK_DGRAM and protocol
// IPPROTO_UDP. flags is the category, WSK_FLAG_DATAGRAM_SOCKET or WSK_FLAG_BASIC_SOCKET. socketContext is handed to the
// callbacks in dispatch, which may be nil; both are nil for a basic socket. With a nil securityDescriptor the socket
// has the default one, which refuses sharing. A listening UDP socket (WSK_FLAG_LISTEN_SOCKET) is made, as on Windows,
// but can't be bound.
//
// On success IoStatus.Socket of irp is the socket, in C IoStatus.Information. It returns STATUS_PENDING, or a failure
// with which irp has completed:
//
//	STATUS_INVALID_PARAMETER       no IRP (nothing completes); unknown or several categories; a context or dispatch
//	                               on a basic socket; a descriptor that is not cached
//	STATUS_INVALID_HANDLE          no client, or nothing captured
//	STATUS_CANCELLED               cancelled before the call
//	STATUS_PROTOCOL_NOT_SUPPORTED  another family, type or protocol, SOCK_RAW too
//	STATUS_NOT_SUPPORTED           connection and stream sockets
//	STATUS_DEVICE_NOT_READY        the provider is detached
//
// or with what the transport answers.
func (npi *ProviderNPI) Socket(family, socketType uint16, protocol, flags uint32, socketContext any,
	dispatch *ClientDatagramDispatch, owningProcess *EPROCESS, owningThread *ETHREAD,
	securityDescriptor *SecurityDescriptor, irp *IRP,
) NTSTATUS {
	_, _ = owningProcess, owningThread
	if irp == nil {
		return STATUS_INVALID_PARAMETER
	}
	cancelled := irp.begin()
	if !npi.beginCall() {
		return npi.refuse(irp)
	}
	status := STATUS_CANCELLED
	if !cancelled {
		status = validSocket(family, socketType, protocol, flags)
	}
	if status == STATUS_SUCCESS && (securityDescriptor != nil && !npi.Client.cached(securityDescriptor) ||
		flags == WSK_FLAG_BASIC_SOCKET && (socketContext != nil || dispatch != nil)) {
		status = STATUS_INVALID_PARAMETER
	}
	if status == STATUS_SUCCESS {
		s := &Socket{
			client: npi.Client, provider: npi.Dispatch.provider, context: socketContext, dispatch: dispatch,
		}
		s.calls.Last = s.tearDown
		status = s.open(family, flags, securityDescriptor)
		irp.IoStatus.Socket = s
	}
	if status != STATUS_SUCCESS {
		irp.IoStatus.Socket = nil
		return npi.answer(irp, status, status)
	}
	npi.Client.count(&npi.Client.sockets, 1)
	return npi.answer(irp, STATUS_SUCCESS, STATUS_PENDING)
}

// beginCall counts a call, until answer or endCall ends it. It reports false when the handle can't be used.
func (npi *ProviderNPI) beginCall() bool {
	return npi.Client != nil && npi.Dispatch != nil && npi.Dispatch.provider != nil && npi.Client.beginCall()
}

// answer completes the IRP of a provider call with status and ends the call that beginCall has counted. It returns what
// the call returns: returned, or STATUS_PENDING.
func (npi *ProviderNPI) answer(irp *IRP, status, returned NTSTATUS) NTSTATUS {
	return npi.end(irp, status, returned, true)
}

// refuse is answer for a call that beginCall has refused.
func (npi *ProviderNPI) refuse(irp *IRP) NTSTATUS {
	return npi.end(irp, STATUS_INVALID_HANDLE, STATUS_INVALID_HANDLE, false)
}

func (npi *ProviderNPI) end(irp *IRP, status, returned NTSTATUS, counted bool) NTSTATUS {
	end := func() {
		if counted {
			defer npi.Client.endCall()
		}
		irp.complete(status, 0)
	}
	irp.PendingReturned = returned == STATUS_PENDING
	if npi.Dispatch != nil && npi.Dispatch.provider != nil && npi.Dispatch.provider.nested.enter() {
		defer npi.Dispatch.provider.nested.exit()
		end()
		return returned
	}
	irp.PendingReturned = true
	go end()
	return STATUS_PENDING
}

// validSocket checks category and transport.
func validSocket(family, socketType uint16, protocol, category uint32) NTSTATUS {
	if family != AF_INET && family != AF_INET6 || socketType != SOCK_DGRAM || protocol != IPPROTO_UDP {
		if category > WSK_FLAG_STREAM_SOCKET || category&(category-1) != 0 {
			return STATUS_INVALID_PARAMETER
		}
		return STATUS_PROTOCOL_NOT_SUPPORTED
	}
	switch category {
	case WSK_FLAG_BASIC_SOCKET, WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET:
		return STATUS_SUCCESS
	case WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_STREAM_SOCKET:
		return STATUS_NOT_SUPPORTED
	}
	return STATUS_INVALID_PARAMETER
}

// open makes the socket usable. The snapshot is published before the endpoint exists, since the endpoint may report its
// death at once.
func (s *Socket) open(family uint16, category uint32, sd *SecurityDescriptor) NTSTATUS {
	if s.provider.detached.Load() {
		return STATUS_DEVICE_NOT_READY
	}
	sn := &snapshot{options: defaultOptions(), family: family, category: category}
	sn.security = sd
	sn.derive()
	s.snap.Store(sn)
	s.recv.limit = uint64(sn.receiveBuffer)
	events := s.client.staticEvents()
	if category != WSK_FLAG_DATAGRAM_SOCKET {
		return STATUS_SUCCESS
	}
	if s.dispatch != nil && s.dispatch.ReceiveFromEvent != nil && events&WSK_EVENT_RECEIVE_FROM != 0 {
		s.recv.events.enabled, s.recv.events.static = true, true
	}
	endpoint, status := s.provider.transport.OpenEndpoint(family, (*endpointEvents)(s))
	if status != STATUS_SUCCESS {
		return status
	}
	return s.update(func(sn *snapshot) NTSTATUS {
		sn.endpoint = endpoint
		_, sn.receives = endpoint.(ReceivingEndpoint)
		return STATUS_SUCCESS
	})
}
