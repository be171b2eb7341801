// SPDX-License-Identifier: Apache-2.0

package wsk

// complete ends the operation. IoStatus is set before anything becomes visible. Once a routine has been called the IRP
// is not touched any more: the routine may have answered STATUS_MORE_PROCESSING_REQUIRED, and then the IRP is the
// client's.
//
// Preconditions: the provider owns the IRP, no lock is held, PendingReturned is set.
func (irp *IRP) complete(status NTSTATUS, information uintptr) {
	if irp.upper != nil {
		irp.completeUpward(status, information)
		return
	}
	irp.mustPend()
	irp.IoStatus.Status = status
	irp.IoStatus.Information = information
	irp.finish(status)
}

// completeSend is complete for a send. It returns the socket, which counts the operation until it is told of the end,
// after the routine.
func (irp *IRP) completeSend(status NTSTATUS) *Socket {
	op := &irp.op
	var information uintptr
	if status.Success() {
		information = op.bytes
	}
	socket := op.socket
	if len(op.Bufs) == 1 {
		op.Bufs[0] = Buf{}
	} else {
		clear(op.Bufs)
	}
	op.Bufs = nil // an idle IRP keeps no memory of its client alive
	if irp.upper != nil {
		irp.completeUpward(status, information)
		return socket
	}
	irp.mustPend()
	irp.IoStatus.Status = status
	irp.IoStatus.Information = information
	irp.finish(status)
	return socket
}

// finish publishes the completion and calls the last routine. A bare IRP belongs to its client from the moment that the
// state word counts the completion, so everything that is needed afterwards is read before.
func (irp *IRP) finish(status NTSTATUS) {
	routine, context, invoke, begun := irp.routine, irp.context, irp.invoke, irp.begun
	word := irp.state.Add(irpOne)
	if word&^irpFlags != begun {
		panicComplete()
	}
	if word&irpWaiters == 0 {
		if routine != nil && invoked(invoke, status, word) {
			routine(irp, context)
		}
		return
	}
	// While there are waiters nobody reuses the IRP. They are taken off it before the routine, which may give it away,
	// and woken after the routine, which they may rely on.
	waiters := irp.takeWaiters()
	defer waiters.wake()
	if routine != nil && invoked(invoke, status, word) {
		routine(irp, context)
	}
}

// invoked is the rule of IoSetCompletionRoutine.
func invoked(invoke uint8, status NTSTATUS, word uint32) bool {
	if status.Success() {
		if invoke&SL_INVOKE_ON_SUCCESS != 0 {
			return true
		}
	} else if invoke&SL_INVOKE_ON_ERROR != 0 {
		return true
	}
	return word&irpCancel != 0 && invoke&SL_INVOKE_ON_CANCEL != 0
}

// mustPend panics unless the IRP is pending. It is for a completer that does something else before it completes.
func (irp *IRP) mustPend() {
	if !irp.pending() {
		panicComplete()
	}
}

func panicComplete() {
	panic("wsk: IRP completed twice, or completed without having been passed to a call")
}
