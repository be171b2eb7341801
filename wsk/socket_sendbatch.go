// SPDX-License-Identifier: Apache-2.0

package wsk

// Batch is what [Socket.SendBatch] takes. It keeps the room for its longest list, so that one that is used again
// allocates nothing. It is for one goroutine at a time.
type Batch struct {
	Sends []BatchSend
	ops   []*SendOp
}

// BatchSend is one [Socket.SendTo] of a batch: what it is called with, and what it returns.
type BatchSend struct {
	Buf     *Buf
	Flags   uint32
	Remote  SOCKADDR
	Control []byte
	IRP     *IRP

	Status NTSTATUS // set by SendBatch
}

// SendBatch is [Socket.SendTo] for each of batch.Sends, to whichever destinations, and hands all that are accepted to the
// transport at once. WSK has no such function: where everything goes to one address and may succeed or fail as a whole,
// SendMessages does with one IRP.
//
// Each send is checked by itself, in the order of SendTo, has its own IRP and its own end, and Status is what SendTo would have
// returned for it. One that is refused does not stop those behind it. Those that are accepted leave in the order of the list, as far
// as they go to one destination. Completion routines of the refused ones are called when the others have been handed over.
//
// batch, and what Buf, Remote and Control point at, is read and written during the call only; routines that run meanwhile
// leave it alone. IRPs and MDLs are the provider's as with SendTo.
func (s *Socket) SendBatch(batch *Batch) {
	sends := batch.Sends
	if len(sends) == 0 {
		return
	}
	s.calls.Add(len(sends))
	sn := s.snap.Load()
	refused := 0
	ops := batch.ops[:0]
	for i := range sends {
		c := &sends[i]
		if c.Status = s.beginSend(sn, c); c.Status != STATUS_PENDING {
			refused++
			continue
		}
		ops = append(ops, &c.IRP.op)
	}
	batch.ops = ops
	if len(ops) != 0 {
		SendAll(sn.endpoint, ops)
		clear(ops) // an idle batch keeps no IRP alive
	}
	for i := 0; refused != 0; i++ {
		if c := &sends[i]; c.Status != STATUS_PENDING {
			refused--
			s.refuseSend(c)
		}
	}
}

// beginSend is SendTo up to where the operation is handed over. It answers STATUS_PENDING, or why not.
func (s *Socket) beginSend(sn *snapshot, c *BatchSend) NTSTATUS {
	irp := c.IRP
	if irp == nil {
		return STATUS_INVALID_PARAMETER
	}
	cancelled := irp.begin()
	op := &irp.op
	status := sn.admit(cancelled, c.Flags)
	if status == STATUS_SUCCESS {
		status = op.capture(c.Buf)
	}
	if status == STATUS_SUCCESS {
		status = sn.direct(op, c.Remote, c.Control)
	}
	if status != STATUS_SUCCESS {
		return status
	}
	s.own(irp)
	return STATUS_PENDING
}

// refuseSend ends a send that beginSend has refused.
func (s *Socket) refuseSend(c *BatchSend) {
	if c.IRP == nil { // nothing completes
		s.calls.End()
		return
	}
	c.Status = s.answerSend(c.IRP, c.Status)
}
