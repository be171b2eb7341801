// SPDX-License-Identifier: Apache-2.0

package wsk

// SendProgress is how far a send has come that has not completed. A transport that knows tells, and a client that does not
// want to wait until a datagram has left asks: then it can wait for what the kernel would have said at once, and no longer.
type SendProgress uint32

const (
	// SendAccepted is what every send begins with: it goes in its turn.
	SendAccepted SendProgress = iota
	// SendSought says that it is being found out whether it can go, or that it is about to complete. That takes as long
	// as a call of the kernel.
	SendSought
	// SendHeld says that it can go but for a neighbour that does not answer yet, or a link that is down: perhaps for
	// seconds.
	SendHeld
	// SendFiltered says that a rule of the host has refused it, a firewall's for output or an IPsec policy, where the kernel's stack
	// sends: it is about to complete, with STATUS_ACCESS_DENIED.
	SendFiltered
)

// isSettled reports whether nothing has to be found out any more, and it does not end within a moment.
func (p SendProgress) isSettled() bool { return p != SendSought && p != SendFiltered }

// SetProgress says how far the operation has come. The transport calls it while the operation is its own, and needs no
// lock.
func (op *SendOp) SetProgress(p SendProgress) {
	if op.progress.Load() == uint32(p) {
		return
	}
	op.progress.Store(uint32(p))
	if irp := op.irp; p.isSettled() && irp != nil && irp.state.Load()&irpWaiters != 0 {
		irp.takeWaiters().wake() // those of Wait look, and wait again
	}
}

// SendProgress is how far the send that has this IRP has come. After completion it is what it was before, until Reuse. One that the
// call itself refuses is SendSought.
func (irp *IRP) SendProgress() SendProgress { return SendProgress(irp.op.progress.Load()) }

// WaitSought waits until the send that has this IRP is not sought any more, or has completed, and reports whether it has
// completed. A send that was refused by the call has. The caller keeps the IRP from being reused meanwhile.
func (irp *IRP) WaitSought() (completed bool) {
	target := irp.begun
	for {
		if irp.reached(target) {
			return true
		}
		if irp.SendProgress().isSettled() {
			return false
		}
		w := irp.addWaiter(target, nil)
		if w == nil {
			return true
		}
		if !irp.SendProgress().isSettled() || !irp.removeWaiter(w) {
			<-w.woken // else what it waits for came before it was on the list
		}
		irp.putWaiter(w)
	}
}
