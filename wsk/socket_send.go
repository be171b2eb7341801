// SPDX-License-Identifier: Apache-2.0

package wsk

// SendTo is WskSendTo: it sends the payload that buf describes as one datagram, or as several when UDP_SEND_MSG_SIZE is
// in force. With a nil remote it sends to the fixed address of the socket. control contains control data objects, see
// [CMsgs], which override the socket's options for this send. flags is reserved and must be 0.
//
// Until irp completes the MDL chain belongs to the provider. buf itself, remote and control are read during the call
// only. There is no buffering: irp completes when the last frame has left, that is, when the kernel has given it back,
// and Information is then the number of payload bytes.
//
// It returns STATUS_PENDING, or a failure with which irp has completed. The checks are made in this order:
//
//	STATUS_INVALID_PARAMETER          no IRP: nothing completes
//	STATUS_FILE_CLOSED                the socket has been closed
//	STATUS_FILE_FORCED_CLOSED         the device is gone: close the socket
//	STATUS_CANCELLED                  irp was cancelled before
//	STATUS_INVALID_PARAMETER          flags; buf nil or against the rules of Buf
//	STATUS_INVALID_DEVICE_STATE       not bound
//	STATUS_INVALID_PARAMETER          a nil remote without a fixed address; another family, or too short
//	STATUS_INVALID_ADDRESS_COMPONENT  a wildcard, port 0, or an IP version that the socket can't send
//	STATUS_INVALID_PARAMETER          control
//	STATUS_ACCESS_DENIED              255.255.255.255 without SO_BROADCAST
//	STATUS_INVALID_BUFFER_SIZE        more than 65507 bytes over IPv4 or 65527 over IPv6
//
// A pending send completes with one of these:
//
//	STATUS_SUCCESS                    all has left
//	STATUS_INVALID_BUFFER_SIZE        too large for the path, and DF is set
//	STATUS_INVALID_ADDRESS_COMPONENT  the source is not a local address, or the interface that was named is not there
//	STATUS_ACCESS_DENIED              a subnet broadcast without SO_BROADCAST; a route or a rule of the host that forbids it
//	STATUS_INVALID_PARAMETER          a blackhole route
//	STATUS_NETWORK_UNREACHABLE        no route, or the device dropped the frame and has no carrier
//	STATUS_NETWORK_BUSY               the device dropped the frame although it has a carrier
//	STATUS_HOST_UNREACHABLE           the neighbour does not answer, or the route says so
//	STATUS_INSUFFICIENT_RESOURCES     no memory or descriptors, or too many neighbours and destinations are being looked for
//	STATUS_IO_TIMEOUT                 the kernel did not give a frame back; it may have left or not
//	STATUS_FILE_FORCED_CLOSED         the device is gone, or the transport closed
//	STATUS_CANCELLED                  by Cancel or Close, while it was waiting
//
// It may be called from completion routines, also with the IRP that has just completed, and that without end. It
// allocates nothing.
func (s *Socket) SendTo(buf *Buf, flags uint32, remote SOCKADDR, control []byte, irp *IRP) NTSTATUS {
	if irp == nil {
		return STATUS_INVALID_PARAMETER
	}
	cancelled := irp.begin()
	sn := s.enterSend()
	op := &irp.op
	status := sn.admit(cancelled, flags)
	if status == STATUS_SUCCESS {
		status = op.capture(buf)
	}
	if status == STATUS_SUCCESS {
		status = sn.direct(op, remote, control)
	}
	if status != STATUS_SUCCESS {
		return s.answerSend(irp, status)
	}
	s.submit(sn, irp)
	return STATUS_PENDING
}

// SendMessages is WskSendMessages: SendTo for a list of datagrams, with one remote address, one control and one IRP for
// all. The list is checked first, and if any node is refused nothing is sent. The datagrams leave in the order of the
// list; irp completes when the last one has left, and Information is the sum of their payloads. If one of them fails
// later, irp completes with that failure and Information 0; others may have left.
//
// The nodes are read during the call only; the MDL chains belong to the provider until irp completes. An empty list is
// STATUS_INVALID_PARAMETER. Everything else is as for SendTo. An IRP keeps the room for its longest list, so that one
// that is reused allocates nothing.
func (s *Socket) SendMessages(list *BufList, flags uint32, remote SOCKADDR, control []byte, irp *IRP) NTSTATUS {
	if irp == nil {
		return STATUS_INVALID_PARAMETER
	}
	cancelled := irp.begin()
	sn := s.enterSend()
	op := &irp.op
	status := sn.admit(cancelled, flags)
	if status == STATUS_SUCCESS {
		status = irp.captureList(list)
	}
	if status == STATUS_SUCCESS {
		status = sn.direct(op, remote, control)
	}
	if status != STATUS_SUCCESS {
		return s.answerSend(irp, status)
	}
	s.submit(sn, irp)
	return STATUS_PENDING
}

// capture is row 5 of docs/wsk-mapping.md, status of a send, for one buffer, which it copies.
func (op *SendOp) capture(buf *Buf) NTSTATUS {
	if buf == nil {
		return STATUS_INVALID_PARAMETER
	}
	b := *buf // one read, then the check of what was read
	if !b.isWhole() && !b.valid() {
		return STATUS_INVALID_PARAMETER
	}
	op.one[0] = b
	op.Bufs = op.one[:]
	op.bytes, op.longest = b.Length, b.Length
	return STATUS_SUCCESS
}

// cycleFrom is the length of a list from which it is looked whether it turns back on itself.
const cycleFrom = 256

// captureList is row 5 for a list, which it copies in one pass. A list that turns back on itself is refused (Brent's
// algorithm).
func (irp *IRP) captureList(list *BufList) NTSTATUS {
	bufs := irp.list[:0]
	var sum, longest uintptr
	var mark *BufList
	status := STATUS_SUCCESS
	for node := list; node != nil; node = node.Next {
		b := node.Buffer // one read, then the check of what was read
		if node == mark || !b.isWhole() && !b.valid() {
			status = STATUS_INVALID_PARAMETER
			break
		}
		bufs = append(bufs, b)
		if n := len(bufs); n >= cycleFrom && n&(n-1) == 0 {
			mark = node
		}
		sum += b.Length
		longest = max(longest, b.Length)
	}
	irp.list = bufs
	if len(bufs) == 0 || status != STATUS_SUCCESS {
		clear(bufs) // an idle IRP keeps no memory of its client alive
		return STATUS_INVALID_PARAMETER
	}
	op := &irp.op
	op.Bufs, op.bytes, op.longest = bufs, sum, longest
	return STATUS_SUCCESS
}

// answerSend is answer for a send, which enterSend has counted. It is about to complete, which is all that is known of its
// progress: what the IRP's last send had come to is no matter.
func (s *Socket) answerSend(irp *IRP, status NTSTATUS) NTSTATUS {
	s.calls.Add(1)
	irp.op.progress.Store(uint32(SendSought))
	return s.answer(irp, status, 0)
}

// submit hands a checked operation to the transport. When Send returns the IRP may be the client's again.
func (s *Socket) submit(sn *snapshot, irp *IRP) {
	s.own(irp)
	sn.endpoint.Send(&irp.op)
}

// own makes a checked operation ready to be handed over.
func (s *Socket) own(irp *IRP) {
	op := &irp.op
	op.Transport = SendState{}
	if op.progress.Load() != 0 {
		op.progress.Store(0)
	}
	op.irp, op.socket = irp, s
	irp.PendingReturned = true
}
