// SPDX-License-Identifier: Apache-2.0

package wsk

import "encoding/binary"

// ioctl is a request of type WskIoctl. It returns STATUS_PENDING when the IRP waits.
func (s *Socket) ioctl(sn *snapshot, code uint32, input, output []byte, irp *IRP) (written int, status NTSTATUS) {
	switch code {
	case SIO_WSK_SET_REMOTE_ADDRESS:
		status = s.update(func(sn *snapshot) NTSTATUS { return sn.setFixed(&sn.fixedRemote, input) })
		if status == STATUS_SUCCESS {
			s.settle()
		}
		return 0, status
	case SIO_WSK_SET_SENDTO_ADDRESS:
		return 0, s.update(func(sn *snapshot) NTSTATUS { return sn.setFixed(&sn.fixedSendTo, input) })
	case SIO_ADDRESS_LIST_QUERY:
		return s.addressListQuery(sn, output)
	case SIO_ADDRESS_LIST_CHANGE:
		return 0, s.addressListChange(irp)
	case SIO_ADDRESS_LIST_SORT:
		return s.addressListSort(sn, input, output)
	case SIO_ROUTING_INTERFACE_QUERY:
		return s.routingInterfaceQuery(sn, input, output)
	case SIO_UDP_CONNRESET, SIO_UDP_NETRESET:
		return 0, reportResets(input)
	case SIO_WSK_QUERY_IDEAL_SEND_BACKLOG, SIO_WSK_QUERY_RECEIVE_BACKLOG, SIO_WSK_QUERY_INSPECT_ID:
		return 0, STATUS_INVALID_DEVICE_REQUEST // of connections
	}
	return 0, STATUS_NOT_SUPPORTED // SIO_WSK_REGISTER_EXTENSION too: there are no extensions
}

// reportResets is SIO_UDP_CONNRESET and SIO_UDP_NETRESET, the switches that let ICMP errors fail receives. Here they
// never do (IP_RECVERR reports them), so the switches can only be set to off.
func reportResets(input []byte) NTSTATUS {
	if len(input) != 4 {
		return STATUS_INVALID_PARAMETER
	}
	if binary.LittleEndian.Uint32(input) != 0 {
		return STATUS_NOT_SUPPORTED
	}
	return STATUS_SUCCESS
}

// setFixed sets one of the two fixed addresses, or clears it if input is empty. If both are set, the one that was set
// last is the destination; clearing it brings back the other. The remote address is also the only sender that the
// socket accepts, and that goes for what is buffered already.
func (sn *snapshot) setFixed(field *fixedAddress, input []byte) NTSTATUS {
	switch {
	case sn.refuse != STATUS_SUCCESS: // closed since the call began
		return sn.refuse
	case sn.category != WSK_FLAG_DATAGRAM_SOCKET:
		return STATUS_INVALID_DEVICE_REQUEST
	case sn.bind != bound:
		return STATUS_INVALID_DEVICE_STATE
	}
	if len(input) == 0 {
		*field = fixedAddress{}
		return STATUS_SUCCESS
	}
	var r remote
	if status := r.parse(input, sn.family); status != STATUS_SUCCESS {
		return status
	}
	if r.port == 0 || r.IsUnspecified() || !sn.reachable(r.is4) {
		return STATUS_INVALID_ADDRESS_COMPONENT
	}
	sn.fixedOrder++
	*field = fixedAddress{remote: r, order: sn.fixedOrder}
	return STATUS_SUCCESS
}
