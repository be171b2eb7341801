// SPDX-License-Identifier: Apache-2.0

package wsk

// stackLocation is what the IO_STACK_LOCATION of a driver above has: its completion routine and its pending mark.
type stackLocation struct {
	routine CompletionRoutine
	context any
	control uint8
	upper   *stackLocation
}

// PassDown is for a driver that got the IRP from a driver above and passes it on to WSK. The routine that the driver
// above has set is kept for later, and the driver may set its own with SetCompletionRoutine, or none. On completion the
// routines are called from the lowest up, each if its own invoke flags select the outcome, until one answers
// STATUS_MORE_PROCESSING_REQUIRED. The IRP stays pending until it is the highest routine's turn.
//
// If a driver's routine lets the completion go on, it first calls [IRP.MarkPending] if PendingReturned is set; for a
// driver without a routine that is done for it.
func (irp *IRP) PassDown() {
	if irp.pending() {
		panic("wsk: PassDown of a pending IRP")
	}
	irp.upper = &stackLocation{routine: irp.routine, context: irp.context, control: irp.invoke, upper: irp.upper}
	irp.routine, irp.context, irp.invoke = nil, nil, 0
}

// MarkPending is IoMarkIrpPending: the driver whose completion routine calls it has itself returned STATUS_PENDING
// to the driver above.
func (irp *IRP) MarkPending() {
	if irp.upper != nil {
		irp.upper.control |= SL_PENDING_RETURNED
	}
}

// CompleteRequest is IoCompleteRequest for a driver whose routine has kept a passed-down IRP, by answering
// STATUS_MORE_PROCESSING_REQUIRED, and now lets the completion go on upward, with IoStatus as it then is. It panics on
// any other IRP.
func (irp *IRP) CompleteRequest() {
	if irp.state.Load()&irpUpward == 0 || irp.upper == nil {
		panic("wsk: CompleteRequest on an IRP whose completion was not stopped by a routine")
	}
	irp.pop()
	irp.climb()
}

func (irp *IRP) completeUpward(status NTSTATUS, information uintptr) {
	if word := irp.state.Or(irpUpward); word&irpUpward != 0 || word&^irpFlags == irp.begun {
		panicComplete()
	}
	irp.IoStatus.Status = status
	irp.IoStatus.Information = information
	irp.climb()
}

// climb calls the routines, from that of the present stack location up.
func (irp *IRP) climb() {
	for irp.upper != nil {
		routine, context := irp.routine, irp.context
		if routine != nil && invoked(irp.invoke, irp.IoStatus.Status, irp.state.Load()) {
			if routine(irp, context) == STATUS_MORE_PROCESSING_REQUIRED {
				return
			}
		} else if irp.PendingReturned {
			irp.MarkPending()
		}
		irp.pop()
	}
	irp.state.And(^irpUpward)
	irp.finish(irp.IoStatus.Status)
}

// pop makes the location above the present one.
func (irp *IRP) pop() {
	up := irp.upper
	irp.PendingReturned = up.control&SL_PENDING_RETURNED != 0
	irp.routine, irp.context, irp.invoke = up.routine, up.context, up.control
	irp.upper = up.upper
}
