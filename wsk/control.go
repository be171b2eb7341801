// SPDX-License-Identifier: Apache-2.0

package wsk

import "encoding/binary"

// ControlSocket is WskControlSocket: it sets an option from input, gets one into output, or performs an I/O control.
// level matters for options only. input is read during the call only; output is written before irp completes, and
// Information is the number of bytes written. All values are little-endian, save where Windows wants network order
// (IP_UNICAST_IF, IP_MULTICAST_IF, addresses).
//
// irp is required for the options of SOL_SOCKET except SO_WSK_EVENT_CALLBACK, for the two fixed addresses and for
// SIO_ADDRESS_LIST_CHANGE. Otherwise it is optional, since everything else is done at once. Without an IRP
// outputSizeReturned, if not nil, is set to the number of bytes written; with one it is ignored.
//
// It returns, and completes irp with:
//
//	STATUS_SUCCESS
//	STATUS_INVALID_PARAMETER       request type; IRP missing; size or value wrong for the option
//	STATUS_BUFFER_TOO_SMALL        output too small
//	STATUS_BUFFER_OVERFLOW         output too small for SIO_ADDRESS_LIST_QUERY or _SORT; Information is the size needed
//	STATUS_INVALID_DEVICE_STATE    an option that must be set before the bind, or something that must come after it
//	STATUS_NOT_SUPPORTED           an option or code that this provider or its transport does not have
//	STATUS_INVALID_DEVICE_REQUEST  not for a socket of this category, or the disabling of a static callback
//	STATUS_INVALID_CONNECTION      IP_MTU without a fixed address
//	STATUS_CANCELLED               cancelled before the call
//	STATUS_FILE_CLOSED
//	STATUS_FILE_FORCED_CLOSED
//
// It returns STATUS_PENDING for SIO_ADDRESS_LIST_CHANGE, until the addresses change or the IRP is cancelled, and when a
// callback that is running is disabled with an IRP, until the callback has returned; without an IRP that is
// STATUS_EVENT_PENDING.
//
// It does not block and may be called from completion routines and callbacks, save SIO_ADDRESS_LIST_QUERY, _CHANGE,
// _SORT and SIO_ROUTING_INTERFACE_QUERY, which may make system calls.
func (s *Socket) ControlSocket(requestType ControlSocketType, controlCode, level uint32, input, output []byte,
	outputSizeReturned *uintptr, irp *IRP,
) NTSTATUS {
	if irp == nil && needsIRP(requestType, controlCode, level) {
		return STATUS_INVALID_PARAMETER
	}
	cancelled := irp != nil && irp.begin()
	sn := s.enter()
	status := sn.admit(cancelled, 0)
	var written int
	if status == STATUS_SUCCESS {
		switch requestType {
		case WskSetOption:
			status = s.setOption(sn, level, controlCode, input, irp)
		case WskGetOption:
			written, status = sn.getOption(level, controlCode, output)
		case WskIoctl:
			written, status = s.ioctl(sn, controlCode, input, output, irp)
		default:
			status = STATUS_INVALID_PARAMETER
		}
	}
	switch {
	case status == STATUS_PENDING: // the IRP waits on a list, and is counted until it completes
		s.calls.End()
		return STATUS_PENDING
	case irp != nil:
		return s.answer(irp, status, uintptr(written))
	}
	if outputSizeReturned != nil {
		*outputSizeReturned = uintptr(written)
	}
	s.calls.Finish(1)
	s.calls.End()
	return status
}

// needsIRP says, for the codes that are known here, which take an IRP.
func needsIRP(requestType ControlSocketType, controlCode, level uint32) bool {
	if requestType == WskIoctl {
		switch controlCode {
		case SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS, SIO_ADDRESS_LIST_CHANGE:
			return true
		}
		return false
	}
	return level == SOL_SOCKET && controlCode != SO_WSK_EVENT_CALLBACK
}

// setOption sets an option of any form. Those of four bytes are fields of the snapshot.
func (s *Socket) setOption(sn *snapshot, level, code uint32, input []byte, irp *IRP) NTSTATUS {
	switch {
	case level == SOL_SOCKET && code == SO_WSK_EVENT_CALLBACK:
		return s.setEventCallback(sn, input, irp)
	case level == SOL_SOCKET && code == SO_WSK_SECURITY:
		return s.setSecurity(input)
	}
	if m, status := parseMembership(sn, level, code, input); status != STATUS_MORE_PROCESSING_REQUIRED {
		if status == STATUS_SUCCESS {
			status = s.changeMembership(sn, &m)
		}
		return status
	}
	if status := s.watchForLoop(sn, level, code, input); status != STATUS_SUCCESS {
		return status
	}
	status := s.update(func(sn *snapshot) NTSTATUS { return sn.setOption(level, code, input) })
	if status == STATUS_SUCCESS {
		s.settle()
	}
	return status
}

func (sn *snapshot) setOption(level, code uint32, input []byte) NTSTATUS {
	if sn.refuse != STATUS_SUCCESS { // closed since the call began
		return sn.refuse
	}
	if level == IPPROTO_IP && code == IP_MULTICAST_TTL && len(input) == 1 { // a form that clients use
		input = []byte{input[0], 0, 0, 0}
	}
	set := sn.setter(level, code)
	if set == nil {
		return STATUS_NOT_SUPPORTED
	}
	if len(input) != 4 {
		return STATUS_INVALID_PARAMETER
	}
	return set(binary.LittleEndian.Uint32(input))
}

// setter finds the function that sets an option. It is nil if the option is unknown or can't be set.
func (sn *snapshot) setter(level, code uint32) func(value uint32) NTSTATUS {
	switch {
	case level == SOL_SOCKET:
		return sn.setterSocket(code)
	case level == IPPROTO_IP:
		return sn.setterIP(code)
	case level == IPPROTO_IPV6 && sn.family == AF_INET6:
		return sn.setterIPv6(code)
	case level == IPPROTO_UDP:
		return sn.setterUDP(code)
	}
	return nil
}

func (sn *snapshot) getOption(level, code uint32, output []byte) (int, NTSTATUS) {
	if level == SOL_SOCKET && code == SO_WSK_SECURITY {
		return sn.security.putHandle(output)
	}
	value, status := uint32(0), STATUS_NOT_SUPPORTED
	switch {
	case level == SOL_SOCKET:
		value, status = sn.getSocket(code)
	case level == IPPROTO_IP:
		value, status = sn.getIP(code)
	case level == IPPROTO_IPV6 && sn.family == AF_INET6:
		value, status = sn.getIPv6(code)
	case level == IPPROTO_UDP:
		value, status = sn.getUDP(code)
	}
	if status != STATUS_SUCCESS {
		return 0, status
	}
	if len(output) < 4 {
		return 0, STATUS_BUFFER_TOO_SMALL
	}
	binary.LittleEndian.PutUint32(output, value)
	return 4, STATUS_SUCCESS
}

// The small setters that the option tables are made of.

func setBool(field *bool) func(uint32) NTSTATUS {
	return func(v uint32) NTSTATUS {
		*field = v != 0
		return STATUS_SUCCESS
	}
}

// setNot sets a flag that is stored the other way round.
func setNot(field *bool) func(uint32) NTSTATUS {
	return func(v uint32) NTSTATUS {
		*field = v == 0
		return STATUS_SUCCESS
	}
}

func setWord(field *uint32) func(uint32) NTSTATUS {
	return func(v uint32) NTSTATUS {
		*field = v
		return STATUS_SUCCESS
	}
}

// setRange sets a byte between low and 255.
func setRange(field *uint8, low uint32) func(uint32) NTSTATUS {
	return func(v uint32) NTSTATUS {
		if v < low || v > 255 {
			return STATUS_INVALID_PARAMETER
		}
		*field = uint8(v)
		return STATUS_SUCCESS
	}
}

// beforeBind refuses an option that is of no use any more once the socket has its address.
func (sn *snapshot) beforeBind(set func(uint32) NTSTATUS) func(uint32) NTSTATUS {
	return func(v uint32) NTSTATUS {
		if sn.bind != unbound {
			return STATUS_INVALID_DEVICE_STATE
		}
		return set(v)
	}
}

func boolValue(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
