// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"testing"
	"testing/synctest"
)

// TestWaitReceiveOfOneOperation: who waits for a receive does not wait for the one that its routine begins. (It runs in a bubble, where
// a goroutine that waits for ever is noticed.)
func TestWaitReceiveOfOneOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := new(knowingTransport)
		s := newSocketOver(t, transport)
		transport.attend = func() { (*endpointEvents)(s).Receive(transport.datagram()) }
		irp := AllocateIRP()
		irp.SetCompletionRoutine(func(irp *IRP, _ any) NTSTATUS {
			irp.Reuse(STATUS_SUCCESS)
			if status := s.ReceiveFrom(&Buf{}, 0, nil, nil, nil, nil, irp); status != STATUS_PENDING {
				t.Error(status)
			}
			return STATUS_MORE_PROCESSING_REQUIRED
		}, nil, true, true, true)
		if status := s.ReceiveFrom(&Buf{}, 0, nil, nil, nil, nil, irp); status != STATUS_PENDING {
			t.Fatal(status)
		}
		s.WaitReceive(irp)
		end := AllocateIRP()
		if s.Close(end); end.pending() || irp.IoStatus.Status != STATUS_CANCELLED {
			t.Errorf("the second receive ended with %v", irp.IoStatus.Status)
		}
	})
}
