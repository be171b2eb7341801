// SPDX-License-Identifier: Apache-2.0

package wsk

// Options of level SOL_SOCKET, and the level IPPROTO_UDP, which has three.

func (sn *snapshot) setterSocket(code uint32) func(uint32) NTSTATUS {
	switch code {
	case SO_REUSEADDR:
		return sn.beforeBind(exclusive(&sn.reuseAddress, &sn.exclusiveAddressUse))
	case SO_EXCLUSIVEADDRUSE:
		return sn.beforeBind(exclusive(&sn.exclusiveAddressUse, &sn.reuseAddress))
	case SO_BROADCAST:
		return setBool(&sn.broadcast)
	case SO_SNDBUF:
		return setWord(&sn.sendBuffer)
	case SO_RCVBUF:
		return func(v uint32) NTSTATUS {
			sn.receiveBuffer, sn.receiveBufferSet = v, true
			return STATUS_SUCCESS
		}
	}
	return nil
}

// exclusive sets a flag that can't be on together with another one.
func exclusive(field, other *bool) func(uint32) NTSTATUS {
	return func(v uint32) NTSTATUS {
		if v != 0 && *other {
			return STATUS_INVALID_PARAMETER
		}
		*field = v != 0
		return STATUS_SUCCESS
	}
}

func (sn *snapshot) getSocket(code uint32) (uint32, NTSTATUS) {
	switch code {
	case SO_REUSEADDR:
		return boolValue(sn.reuseAddress), STATUS_SUCCESS
	case SO_EXCLUSIVEADDRUSE:
		return boolValue(sn.exclusiveAddressUse), STATUS_SUCCESS
	case SO_BROADCAST:
		return boolValue(sn.broadcast), STATUS_SUCCESS
	case SO_SNDBUF:
		return sn.sendBuffer, STATUS_SUCCESS
	case SO_RCVBUF:
		return sn.receiveBuffer, STATUS_SUCCESS
	case SO_TYPE:
		return SOCK_DGRAM, STATUS_SUCCESS
	case SO_MAX_MSG_SIZE:
		if sn.family == AF_INET {
			return MaxPayload4, STATUS_SUCCESS
		}
		return MaxPayload6, STATUS_SUCCESS
	}
	return 0, STATUS_NOT_SUPPORTED
}

func (sn *snapshot) setterUDP(code uint32) func(uint32) NTSTATUS {
	switch code {
	case UDP_NOCHECKSUM:
		return setBool(&sn.noChecksum)
	case UDP_SEND_MSG_SIZE:
		return setWord(&sn.segment)
	case UDP_RECV_MAX_COALESCED_SIZE:
		if sn.endpoint == nil || sn.receives {
			return setWord(&sn.maxCoalesced)
		}
	}
	return nil
}

// getUDP gets an option of level IPPROTO_UDP. By getting UDP_SEND_MSG_SIZE clients also find out whether there is
// segmentation.
func (sn *snapshot) getUDP(code uint32) (uint32, NTSTATUS) {
	switch code {
	case UDP_NOCHECKSUM:
		return boolValue(sn.noChecksum), STATUS_SUCCESS
	case UDP_SEND_MSG_SIZE:
		return sn.segment, STATUS_SUCCESS
	case UDP_RECV_MAX_COALESCED_SIZE:
		return sn.maxCoalesced, STATUS_SUCCESS
	}
	return 0, STATUS_NOT_SUPPORTED
}
