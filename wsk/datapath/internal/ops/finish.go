// SPDX-License-Identifier: Apache-2.0

package ops

import "github.com/wsk-xdp/wsk-xdp/wsk"

// Finisher completes operations that no queue holds: those that wait for a way, and those of companion sockets.
type Finisher struct {
	done  Completions
	GoRun func(func()) // starts a goroutine that Close waits for
}

// NewFinisher makes one that leaves what a caller can't complete to goroutines of goRun's.
func NewFinisher(goRun func(func())) *Finisher {
	f := &Finisher{GoRun: goRun}
	f.done.Left = f.later
	return f
}

// Finish ends an operation. The caller holds no lock.
func (f *Finisher) Finish(op *wsk.SendOp, status wsk.NTSTATUS) {
	op.Transport.Status = status
	var one List
	one.PushBack(op)
	f.FinishAll(&one)
}

// FinishAll ends operations whose status is set. The caller holds no lock.
func (f *Finisher) FinishAll(list *List) {
	f.done.Add(list)
	if f.done.Run(RoutineBudget) {
		f.later()
	}
}

// later has what waits for its completion routines completed by another goroutine.
func (f *Finisher) later() { f.GoRun(f.done.Drain) }
