// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"sync"
	"sync/atomic"
)

// IOStatusBlock is IO_STATUS_BLOCK: the result of an operation. It is valid from the completion of the IRP on.
type IOStatusBlock struct {
	Status NTSTATUS
	// Information is the number of bytes sent or returned. It is 0 when Status is a failure, save for
	// STATUS_BUFFER_OVERFLOW, with which it is the number of bytes stored, or the number that a list needs.
	Information uintptr
	// Socket is the new socket of a successful [ProviderNPI.Socket], which in C is Information cast to PWSK_SOCKET.
	Socket *Socket
}

// CompletionRoutine is IO_COMPLETION_ROUTINE. It is called once for each completion that its invoke flags select, on
// any goroutine, with no lock held, and must not block. context is what SetCompletionRoutine was given.
//
// It must not panic. Nothing here recovers: on a goroutine of the provider a panic ends the process. If a client
// recovers from it further up, its IRP has completed, and in this package everything else that was to complete does; a
// transport does not promise that.
//
// It answers STATUS_MORE_PROCESSING_REQUIRED when it keeps the IRP, as the routine of an IRP that its own client
// allocated always does. From then on the IRP is the client's, to reuse (also inside the routine), to embed anew or to
// drop. Any other answer lets the completion go on to the driver above (see [IRP.PassDown]).
type CompletionRoutine func(irp *IRP, context any) NTSTATUS

// The state word of an IRP has the flags and, above them, the number of operations that have completed. The IRP is
// pending while that number differs from begun, which only its owner changes. So an operation costs one atomic
// addition, at its completion, and a flag that a canceller or a waiter sets meanwhile is never lost.
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
// its completion it belongs to the provider, whatever the call returned, and the client may only Cancel it or Wait for
// it. Every call completes its IRP exactly once, also a call that fails at once. After the completion the client calls
// [IRP.Reuse] before it passes the IRP again. These panic: to pass an IRP that is pending or has not been reused, to
// reuse one that is pending, and to complete one twice. On Windows each of them is a bugcheck or worse.
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
// onSuccess is set, if it fails and onError is set, or if the IRP has been cancelled and onCancel is set. For an IRP
// that the client allocated all three must be true. With a nil routine the client learns of the end through Wait. It
// allocates nothing if context is a pointer.
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

// Reuse is IoReuseIrp: it makes a completed IRP as good as new, without completion routine and cancel flag, and sets
// IoStatus.Status to status. Memory that has grown inside the IRP is kept, so that reuse saves allocations. It may be
// called in the IRP's own completion routine. It panics on a pending IRP.
func (irp *IRP) Reuse(status NTSTATUS) {
	if irp.pending() {
		panic("wsk: Reuse of a pending IRP")
	}
	if irp.cancelRequested() {
		irp.state.And(^irpCancel)
	}
	if irp.op.progress.Load() != 0 { // its first, see SendProgress
		irp.op.progress.Store(0)
	}
	irp.used = false
	irp.PendingReturned = false
	irp.IoStatus = IOStatusBlock{Status: status}
	irp.routine, irp.context, irp.invoke = nil, nil, 0
	irp.upper = nil
}

// Cancel is IoCancelIrp. It sets the IRP's cancel flag. If the operation waits somewhere in the provider where it can
// be taken back, Cancel ends it with STATUS_CANCELLED and reports true. It reports false when there is nothing to take
// back: the IRP has not been passed yet (the next call then ends with STATUS_CANCELLED), or has completed, or is about
// to. Neither answer replaces waiting for the completion: after true the completion routine may not have been called
// yet, and after false the operation may still be pending.
//
// It may be called from any goroutine, but, as on Windows, the client makes sure that the IRP is not being reused at
// that moment: the cancellation would hit the next operation.
func (irp *IRP) Cancel() bool {
	irp.state.Or(irpCancel)
	return irp.op.takeCancel() || irp.cancelWait() // false unless one of them is armed, as only a waiting one is
}

// cancelRequested is Irp->Cancel.
func (irp *IRP) cancelRequested() bool { return irp.state.Load()&irpCancel != 0 }

// pending reports whether an operation has begun and not completed. It is for a caller who owns the IRP, or knows that
// no other operation can begin now.
func (irp *IRP) pending() bool { return irp.state.Load()&^irpFlags != irp.begun }

// begin gives the IRP to the provider. It reports whether the IRP was cancelled before.
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
