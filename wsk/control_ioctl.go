// SPDX-License-Identifier: Apache-2.0

package wsk

// ioctl is a request of type WskIoctl.
func (s *Socket) ioctl(code uint32, input []byte) NTSTATUS {
	switch code {
	case SIO_WSK_SET_REMOTE_ADDRESS:
		return s.update(func(sn *snapshot) NTSTATUS { return sn.setFixed(&sn.fixedRemote, input) })
	case SIO_WSK_SET_SENDTO_ADDRESS:
		return s.update(func(sn *snapshot) NTSTATUS { return sn.setFixed(&sn.fixedSendTo, input) })
	}
	return STATUS_NOT_SUPPORTED
}

// setFixed sets one of the two fixed addresses, or clears it with empty input. Of two set addresses the one set last is
// the destination; clearing it brings back the other.
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
	if r.port == 0 || r.isUnspecified() || !sn.reachable(r.is4) {
		return STATUS_INVALID_ADDRESS_COMPONENT
	}
	sn.fixedOrder++
	*field = fixedAddress{remote: r, order: sn.fixedOrder}
	return STATUS_SUCCESS
}
