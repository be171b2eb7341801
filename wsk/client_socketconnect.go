// SPDX-License-Identifier: Apache-2.0

package wsk

// ClientConnectionDispatch is WSK_CLIENT_CONNECTION_DISPATCH. There are no connections here, so it has no members.
type ClientConnectionDispatch struct{}

// SocketConnect is WskSocketConnect, which makes a connection socket in one step. There are no connections here: it
// completes irp with STATUS_NOT_SUPPORTED and returns that; STATUS_INVALID_PARAMETER without an IRP;
// STATUS_INVALID_HANDLE when nothing is captured; STATUS_CANCELLED when irp was cancelled before.
func (npi *ProviderNPI) SocketConnect(socketType uint16, protocol uint32, localAddress, remoteAddress SOCKADDR,
	flags uint32, socketContext any, dispatch *ClientConnectionDispatch, owningProcess *EPROCESS, owningThread *ETHREAD,
	securityDescriptor *SecurityDescriptor, irp *IRP,
) NTSTATUS {
	_, _, _, _, _, _, _ = socketType, protocol, localAddress, remoteAddress, flags, socketContext, dispatch
	_, _, _ = owningProcess, owningThread, securityDescriptor
	if irp == nil {
		return STATUS_INVALID_PARAMETER
	}
	cancelled := irp.begin()
	if !npi.beginCall() {
		return npi.refuse(irp)
	}
	status := STATUS_NOT_SUPPORTED
	if cancelled {
		status = STATUS_CANCELLED
	}
	return npi.answer(irp, status, status)
}
