// SPDX-License-Identifier: Apache-2.0

package wsk

import "net/netip"

// Bind is WskBind: it gives the socket its local address, unicast, multicast or wildcard, with port 0 for a free port
// of 49152–65535. local is read during the call. flags is reserved and must be 0.
//
// It returns STATUS_PENDING, or a failure with which irp has completed:
//
//	STATUS_INVALID_PARAMETER          no IRP (nothing completes); flags; no address, another family, too short
//	STATUS_INVALID_DEVICE_REQUEST     a basic socket
//	STATUS_NOT_IMPLEMENTED            a listening socket
//	STATUS_INVALID_DEVICE_STATE       already bound or being bound
//	STATUS_INVALID_ADDRESS_COMPONENT  a v4-mapped address while IPV6_V6ONLY is on
//
// A pending bind completes with Information 0 and
//
//	STATUS_SUCCESS
//	STATUS_ADDRESS_ALREADY_EXISTS
//	STATUS_ACCESS_DENIED
//	STATUS_INVALID_ADDRESS_COMPONENT  not a local address
//	STATUS_TOO_MANY_ADDRESSES         no free port
//
// After a failure the socket can be bound again. Close waits for a pending bind.
func (s *Socket) Bind(local SOCKADDR, flags uint32, irp *IRP) NTSTATUS {
	if irp == nil {
		return STATUS_INVALID_PARAMETER
	}
	cancelled := irp.begin()
	sn := s.enter()
	status := sn.admit(cancelled, flags)
	if status == STATUS_SUCCESS {
		status = sn.bindable()
	}
	var req BindRequest
	if status == STATUS_SUCCESS {
		status = s.startBind(local, &req)
	}
	if status != STATUS_SUCCESS {
		return s.answer(irp, status, 0)
	}
	irp.PendingReturned = true
	defer s.calls.End()
	sn.endpoint.Bind(req, func(local netip.AddrPort, status NTSTATUS) {
		s.bindDone(local, status)
		defer s.calls.Finish(1) // also when the routine panics
		irp.complete(status, 0)
		if status.Success() {
			s.opened()
		}
	})
	return STATUS_PENDING
}

// bindable refuses sockets of the other categories. As on Windows, a listening UDP socket can be made and fails only
// here.
func (sn *snapshot) bindable() NTSTATUS {
	switch sn.category {
	case WSK_FLAG_DATAGRAM_SOCKET:
		return STATUS_SUCCESS
	case WSK_FLAG_LISTEN_SOCKET:
		return STATUS_NOT_IMPLEMENTED
	}
	return STATUS_INVALID_DEVICE_REQUEST
}

func (s *Socket) startBind(local SOCKADDR, req *BindRequest) NTSTATUS {
	return s.update(func(sn *snapshot) NTSTATUS {
		ap, ok := local.AddrPort()
		switch {
		case sn.refuse != STATUS_SUCCESS: // closed since the call began
			return sn.refuse
		case !ok || local.Family() != sn.family:
			return STATUS_INVALID_PARAMETER
		case sn.bind != unbound:
			return STATUS_INVALID_DEVICE_STATE
		case ap.Addr().Is4In6() && sn.v6Only:
			return STATUS_INVALID_ADDRESS_COMPONENT
		}
		*req = BindRequest{
			Local:               ap,
			DualStack:           sn.family == AF_INET6 && !sn.v6Only,
			ReuseAddress:        sn.reuseAddress,
			ExclusiveAddressUse: sn.exclusiveAddressUse,
			ShareGranted:        sn.security.permitsSharing(),
		}
		sn.bind = binding
		return STATUS_SUCCESS
	})
}

// bindDone records the outcome, before the IRP tells the client.
func (s *Socket) bindDone(local netip.AddrPort, status NTSTATUS) {
	s.update(func(sn *snapshot) NTSTATUS {
		sn.bind = unbound
		if status.Success() {
			sn.bind, sn.local = bound, local
		}
		return STATUS_SUCCESS
	})
}

// GetLocalAddress is WskGetLocalAddress: it stores the address that the socket is bound to, 16 or 28 bytes by the
// socket's family, in local before irp completes. After a wildcard bind that is the wildcard with the port in use. But
// while SIO_WSK_SET_REMOTE_ADDRESS is set it is the source address of the route to the remote address, as a connected
// socket has it elsewhere, if the transport knows routes. msquic relies on that: it ignores what comes to an address
// other than the one that it has got here, and chooses its control data by the family of that address.
//
// It returns, and completes irp with, STATUS_SUCCESS, STATUS_INVALID_DEVICE_STATE (not bound), STATUS_INVALID_PARAMETER
// (no IRP or no local) or STATUS_BUFFER_TOO_SMALL.
func (s *Socket) GetLocalAddress(local SOCKADDR, irp *IRP) NTSTATUS {
	if irp == nil {
		return STATUS_INVALID_PARAMETER
	}
	cancelled := irp.begin()
	sn := s.enter()
	status := sn.admit(cancelled, 0)
	switch {
	case status != STATUS_SUCCESS:
	case sn.endpoint == nil:
		status = STATUS_INVALID_DEVICE_REQUEST
	case sn.bind != bound:
		status = STATUS_INVALID_DEVICE_STATE
	case local == nil:
		status = STATUS_INVALID_PARAMETER
	case len(local) < sizeofSockaddr(sn.family):
		status = STATUS_BUFFER_TOO_SMALL
	default:
		s.putLocal(local, sn)
	}
	return s.answer(irp, status, 0)
}

// putLocal writes the local address to local, which has room for it.
func (s *Socket) putLocal(local SOCKADDR, sn *snapshot) {
	if fixed := &sn.fixedRemote; fixed.order != 0 && sn.local.Addr().IsUnspecified() {
		to := Address{Scope: fixed.scope, Port: fixed.port}
		fixed.Store(&to.Addr)
		if from, status := s.sourceFor(sn, to); status == STATUS_SUCCESS {
			from.Port = sn.local.Port()
			putAddress(local, sn.family, &from)
			return
		}
	}
	putSockaddr(local, sn.family, sn.local)
}
