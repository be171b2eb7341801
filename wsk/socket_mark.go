// SPDX-License-Identifier: Apache-2.0

package wsk

// SetMark gives the datagrams of the sends to come a mark, by which the policy rules of the host choose their route: the
// SO_MARK of Linux, which WSK has nothing for. What was sent before keeps its own. 0 takes the mark off. The socket is
// bound.
//
// It returns STATUS_SUCCESS, or
//
//	STATUS_FILE_CLOSED           the socket has been closed
//	STATUS_FILE_FORCED_CLOSED    the device is gone
//	STATUS_INVALID_DEVICE_STATE  not bound
//	STATUS_NOT_SUPPORTED         the transport has no marks; a daemon gives its clients none
//	STATUS_PRIVILEGE_NOT_HELD    the process may not set marks (CAP_NET_ADMIN, or CAP_NET_RAW since Linux 5.17)
func (s *Socket) SetMark(mark uint32) NTSTATUS {
	s.calls.Add(1)
	defer s.calls.End()
	return s.update(func(sn *snapshot) NTSTATUS {
		if sn.refuse != STATUS_SUCCESS {
			return sn.refuse
		}
		endpoint, ok := sn.endpoint.(MarkingEndpoint)
		switch {
		case sn.endpoint != nil && !ok:
			return STATUS_NOT_SUPPORTED
		case sn.bind != bound:
			return STATUS_INVALID_DEVICE_STATE
		}
		status := endpoint.Mark(mark)
		if status == STATUS_SUCCESS {
			sn.mark = mark
		}
		return status
	})
}

// sourceFor is the local address from which a datagram of the socket would leave.
func (s *Socket) sourceFor(sn *snapshot, to Address) (Address, NTSTATUS) {
	if endpoint, ok := sn.endpoint.(MarkingEndpoint); ok && sn.mark != 0 {
		return endpoint.MarkedSourceFor(to, sn.mark)
	}
	if source := s.addressSource(); source != nil {
		return source.SourceFor(to)
	}
	return Address{}, STATUS_NOT_SUPPORTED
}
