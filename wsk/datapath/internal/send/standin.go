// SPDX-License-Identifier: Apache-2.0

package send

import (
	"runtime"
	"sync/atomic"
)

// A flow that has led through the kernel's stack comes to lead through a queue: because the queue was being opened, or was somebody
// else's, or what was in the way is not any more. What the stack has of it is not to be overtaken. So the flow is shut, nobody is
// left who saw it open, and what they have handed over has left the companion socket, before anything goes to the queue. What comes
// meanwhile waits.

// stack is what a flow has sent through the kernel's stack.
type stack struct {
	used     bool         // since its way was last clear of that; its resolver's alone
	entering atomic.Int32 // senders that look whether the flow leads there, and hand something over
}

// drain waits until what a flow has sent through the kernel's stack has left. The flow is shut.
func (s *stack) drain(through SlowPath) {
	if !s.used {
		return
	}
	for s.entering.Load() != 0 {
		runtime.Gosched()
	}
	through.Drain()
	s.used = false
}

// noQueue is why a flow that has no queue leads through the kernel's stack.
func noQueue(opening bool) slowReason {
	if opening {
		return slowOpening
	}
	return slowNoQueue
}
