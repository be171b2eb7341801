// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"sync"
	"sync/atomic"
)

// IOStatusBlock is IO_STATUS_BLOCK: the result of an operation. It is valid from the completion of the IRP on.
type IOStatusBlock struct {
	Status NTSTATUS
	// Information is the number of bytes sent or returned. It is 0 when Status is a failure other than
	// STATUS_BUFFER_OVERFLOW, with which it is the number of bytes stored, or needed by a list.
	Information uintptr
	// Socket is the new socket of a successful [ProviderNPI.Socket], which in C is Information cast to PWSK_SOCKET.
	Socket *Socket
}

// CompletionRoutine is IO_COMPLETION_ROUTINE. It is called once for each completion that its invoke flags
// select, on any goroutine, with no lock held, and must not block. context is what SetCompletionRoutine was given.
//
// It must not panic. Nothing here recovers: on a goroutine of the provider a panic ends the process. Where a client recovers
// from it further up, its IRP has completed, and in this package all else that was to complete does; of a transport that is
// not promised.
//
// It answers STATUS_MORE_PROCESSING_REQUIRED when it keeps the IRP, which the routine of an IRP that its own
// client allocated always does: from then on the IRP is the client's, to reuse (also inside the routine), embed
// anew or drop. Any other answer lets the completion go on to the driver above (see [IRP.PassDown]).
type CompletionRoutine func(irp *IRP, context any) NTSTATUS

// The state word of an IRP holds flags and, above them, the number of operations that have completed. The IRP is
// pending while that number differs from begun, which only its owner changes. So an operation costs one atomic
// addition, at its completion, and a flag set meanwhile by a canceller or a waiter is never lost.
const (
	irpCancel  uint32 = 1 << 0 // Irp->Cancel
	irpWaiters uint32 = 1 << 1 // somebody is on the waiters list
	irpUpward  uint32 = 1 << 2 // completion is on its way through the stack locations of drivers above
	irpFlags   uint32 = 1<<4 - 1
	irpOne     uint32 = 1 << 4 // one operation
)

// Invoke flags, as in the Control byte of an IO_STACK_LOCATION (wdm.h).
const (
	SL_PENDING_RETURNED  uint8 = 0x01
	SL_INVOKE_ON_CANCEL  uint8 = 0x20
	SL_INVOKE_ON_SUCCESS uint8 = 0x40
	SL_INVOKE_ON_ERROR   uint8 = 0x80
)

// IRP is the I/O request packet that carries one asynchronous WSK call. The zero value is ready for use, alone or
// embedded in a larger structure; it must not be copied.
//
// Life: the client sets a completion routine (or means to [IRP.Wait]) and passes the IRP to one call. From then until
// its completion it belongs to the provider, whatever the call returned, and the client may only Cancel it or
// Wait for it. Every call completes its IRP exactly once, also a call that fails at once. After completion the client
// calls [IRP.Reuse] before it passes the IRP again. Passing it while it is pending or not reused, reusing it while
// it is pending, and completing it twice panic: on Windows each of these is a bugcheck or worse.
type IRP struct {
	state  atomic.Uint32
	begun  uint32 // operations begun, in units of irpOne
	used   bool   // passed to a call since the last Reuse
	invoke uint8

	// PendingReturned says in the completion routine, and afterwards, whether the call that got this IRP
	// returned, or is going to return, STATUS_PENDING.
	PendingReturned bool

	// IoStatus is the result.
	IoStatus IOStatusBlock

	routine CompletionRoutine
	context any
	upper   *stackLocation

	waitMu  sync.Mutex
	waiters *irpWaiter // guarded by waitMu
	spare   *irpWaiter // guarded by waitMu; kept over reuse

	op      SendOp
	list    []Buf // grown by SendMessages, kept over reuse
	wait    irpWait
	receive receiveOp
}

// AllocateIRP is IoAllocateIrp. There is no IoFreeIrp: drop the IRP.
func AllocateIRP() *IRP { return new(IRP) }

// SetCompletionRoutine is IoSetCompletionRoutine. routine is called with context if the operation succeeds and
// onSuccess is set, fails and onError is set, or the IRP has been cancelled and onCancel is set. For an IRP that the
// client allocated all three are to be true; with a nil routine the client learns of the end through Wait.
// It allocates nothing when context holds a pointer.
func (irp *IRP) SetCompletionRoutine(routine CompletionRoutine, context any, onSuccess, onError, onCancel bool) {
	if irp.pending() {
		panic("wsk: SetCompletionRoutine on a pending IRP")
	}
	var invoke uint8
	if onSuccess {
		invoke |= SL_INVOKE_ON_SUCCESS
	}
	if onError {
		invoke |= SL_INVOKE_ON_ERROR
	}
	if onCancel {
		invoke |= SL_INVOKE_ON_CANCEL
	}
	irp.routine, irp.context, irp.invoke = routine, context, invoke
}

// Reuse is IoReuseIrp: it makes a completed IRP as good as new, the completion routine and the cancel flag gone, with
// IoStatus.Status set to status. What the IRP has grown inside is kept, so that reuse saves allocations.
// It may be called in the IRP's own completion routine. It panics on a pending IRP.
func (irp *IRP) Reuse(status NTSTATUS) {
	if irp.pending() {
		panic("wsk: Reuse of a pending IRP")
	}
	if irp.cancelRequested() {
		irp.state.And(^irpCancel)
	}
	irp.used = false
	irp.PendingReturned = false
	irp.IoStatus = IOStatusBlock{Status: status}
	irp.routine, irp.context, irp.invoke = nil, nil, 0
	irp.upper = nil
}

// Cancel is IoCancelIrp. It sets the IRP's cancel flag and, if the operation waits somewhere in the provider where it
// can be taken back, ends it with STATUS_CANCELLED and reports true. It reports false when there is
// nothing to take back: not passed yet (the next call then ends with STATUS_CANCELLED), completed, or on its
// way out already. Neither answer replaces waiting for the completion: after true it may not have been called
// yet, and after false the operation may still be pending.
//
// It may be called from any goroutine, but, as on Windows, the client makes sure that the IRP is not being
// reused at that moment: the cancellation would hit the next operation.
func (irp *IRP) Cancel() bool {
	irp.state.Or(irpCancel)
	return irp.op.takeCancel() || irp.cancelWait() // false unless one is armed, which it is only while it waits
}

// cancelRequested is Irp->Cancel.
func (irp *IRP) cancelRequested() bool { return irp.state.Load()&irpCancel != 0 }

// pending is for the owner and for those who know that it can't begin another operation now.
func (irp *IRP) pending() bool { return irp.state.Load()&^irpFlags != irp.begun }

// begin makes the IRP the provider's. It reports whether the IRP was cancelled beforehand.
func (irp *IRP) begin() (cancelled bool) {
	if irp.used {
		irp.panicBegin()
	}
	irp.used = true
	irp.begun += irpOne
	return irp.cancelRequested()
}

func (irp *IRP) panicBegin() {
	if irp.pending() {
		panic("wsk: the IRP passed to a call is still pending in another one")
	}
	panic("wsk: the IRP passed to a call has completed another one and was not reused (call Reuse first)")
}
