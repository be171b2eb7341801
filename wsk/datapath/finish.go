// SPDX-License-Identifier: Apache-2.0

package datapath

import "github.com/wsk-xdp/wsk-xdp/wsk"

// finisher completes operations that no queue holds: those that wait for a way, and those of companion sockets.
type finisher struct {
	done  completions
	goRun func(func()) // starts a goroutine that Close waits for
}

// finish ends an operation. The caller holds no lock.
func (f *finisher) finish(op *wsk.SendOp, status wsk.NTSTATUS) {
	op.Transport.Status = status
	var one opList
	one.pushBack(op)
	f.finishAll(&one)
}

// finishAll ends operations whose status is set. The caller holds no lock.
func (f *finisher) finishAll(list *opList) {
	f.done.add(list)
	if f.done.run(routineBudget) {
		f.goRun(func() {
			for f.done.run(routineBudget) {
			}
		})
	}
}
