// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"slices"
	"testing"
)

// An IRP is cancelled between the look at its flag and the arming; the flag is looked at again.
func TestReceiveCancelledWhileQueueing(t *testing.T) {
	s, transport := newSource(t, "0.0.0.0:1000", 8, false, nil)
	args := &receiveArgs{buf: Buf{Mdl: AllocateMDL(make([]byte, 8)), Length: 8}}
	irp := &args.irp
	irp.SetCompletionRoutine(freeRoutine, &args.n, true, true, true)
	if irp.begin() {
		t.Fatal("cancelled")
	}
	s.enter()
	irp.receive.capture(&args.buf)
	if irp.Cancel() {
		t.Fatal("Cancel of an IRP that waits nowhere: true")
	}
	if status := s.queueReceive(irp); status != STATUS_CANCELLED || args.n != 1 || irp.PendingReturned {
		t.Errorf("%v, %d completions, PendingReturned %v", status, args.n, irp.PendingReturned)
	}
	if !s.recv.irps.empty() {
		t.Error("still queued")
	}
	transport.deliver(1)
	args.pass(s)
	if args.n != 2 || irp.IoStatus.Status != STATUS_SUCCESS {
		t.Errorf("%d completions, %v", args.n, irp.IoStatus.Status)
	}
	irp.Reuse(STATUS_SUCCESS)
	s.Close(irp)
	if irp.IoStatus.Status != STATUS_SUCCESS || irp.pending() {
		t.Error("not closed: a call was left counted")
	}
}

// Checklist item 64: also with a transport that breaks its promise of one cast in each list, the socket keeps its own.
func TestEventMixedList(t *testing.T) {
	var calls []uint32
	var sizes []int
	_, transport := newSource(t, "0.0.0.0:1000", 8, false, &ClientDatagramDispatch{
		ReceiveFromEvent: func(_ any, flags uint32, list *DatagramIndication) NTSTATUS {
			n := 0
			for ; list != nil; list = list.Next {
				n++
			}
			calls, sizes = append(calls, flags), append(sizes, n)
			return STATUS_SUCCESS
		},
	})
	for i, cast := range []Cast{Unicast, Unicast, Multicast, Broadcast, Broadcast, Unicast} {
		transport.list[i].Cast = cast
	}
	transport.deliver(6)
	if !slices.Equal(calls, []uint32{0, MSG_MCAST, MSG_BCAST, 0}) || !slices.Equal(sizes, []int{2, 1, 2, 1}) {
		t.Errorf("flags %#x, %d datagrams", calls, sizes)
	}
}
