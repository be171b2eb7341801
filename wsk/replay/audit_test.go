// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// audit checks every IRP that its clients pass against the rules in docs/wsk-mapping.md.
type audit struct {
	t           *testing.T
	begun, over atomic.Int64
}

// call is one use of an IRP. It is not part of the IRP, since the client may free that in its routine.
type call struct {
	audit   *audit
	what    string
	routine wsk.CompletionRoutine
	context any

	mu          sync.Mutex
	completions int
	finished    bool // the routine has returned
	returned    bool
	result      wsk.NTSTATUS // what the call returned
	end         wsk.IOStatusBlock
	pending     bool // PendingReturned in the routine
}

// poison is in IoStatus before a call, to see that the provider sets it.
const poison = 0xDEAD

// arm sets the IRP's completion routine, with the audit in between. The call comes next, and its result is given to
// returns.
func (a *audit) arm(irp *wsk.IRP, what string, routine wsk.CompletionRoutine, context any) *call {
	c := &call{audit: a, what: what, routine: routine, context: context}
	irp.IoStatus = wsk.IOStatusBlock{Status: poison, Information: poison}
	irp.SetCompletionRoutine(auditRoutine, c, true, true, true)
	a.begun.Add(1)
	return c
}

func auditRoutine(irp *wsk.IRP, context any) wsk.NTSTATUS {
	c := context.(*call)
	c.mu.Lock()
	c.completions++
	c.end, c.pending = irp.IoStatus, irp.PendingReturned
	c.check()
	c.mu.Unlock()
	answer := c.routine(irp, c.context)
	c.mu.Lock()
	c.finished = true
	c.mu.Unlock()
	c.audit.over.Add(1)
	return answer
}

// returns takes what the call returned and gives it back.
func (c *call) returns(result wsk.NTSTATUS) wsk.NTSTATUS {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.returned, c.result = true, result
	if result != wsk.STATUS_PENDING && !c.finished {
		c.audit.t.Errorf("%s returned %v before its completion routine had returned", c.what, result)
	}
	c.check()
	return result
}

// check compares what the call returned with what the routine saw, as far as both are known. The mutex is held.
func (c *call) check() {
	t := c.audit.t
	if c.completions == 0 {
		return
	}
	if c.completions > 1 {
		t.Errorf("%s completed %d times", c.what, c.completions)
	}
	if c.end.Status == poison || c.end.Information == poison {
		t.Errorf("%s: the routine was called before IoStatus was set", c.what)
	}
	if !c.end.Status.Success() && c.end.Status != wsk.STATUS_BUFFER_OVERFLOW && c.end.Information != 0 {
		t.Errorf("%s: %v with Information %d", c.what, c.end.Status, c.end.Information)
	}
	if !c.returned {
		return
	}
	if c.pending != (c.result == wsk.STATUS_PENDING) {
		t.Errorf("%s returned %v with PendingReturned %v", c.what, c.result, c.pending)
	}
	if c.result != wsk.STATUS_PENDING && c.result != c.end.Status {
		t.Errorf("%s returned %v and completed with %v", c.what, c.result, c.end.Status)
	}
}

// settle waits until there are as many completions as calls.
func (a *audit) settle() {
	a.t.Helper()
	testenv.Eventually(a.t, waitLimit, "every IRP to complete", func() bool { return a.over.Load() == a.begun.Load() })
}

// event is a KEVENT of the synchronisation kind.
type event chan struct{}

func newEvent() event { return make(event, 1) }

func (e event) set() { e <- struct{}{} }

func (e event) reset() {
	select {
	case <-e:
	default:
	}
}

func (e event) wait(t *testing.T, what string) {
	t.Helper()
	ctx := testenv.Context(t, waitLimit)
	select {
	case <-e:
	case <-ctx.Done():
		t.Fatalf("%s: the event was not set within %v", what, waitLimit)
	}
}

// setEvent is KeSetEvent as a completion routine, for every caller who waits.
func setEvent(_ *wsk.IRP, context any) wsk.NTSTATUS {
	context.(event).set()
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// rundown is an EX_RUNDOWN_REF.
type rundown struct {
	mu      sync.Mutex
	count   int
	closing bool
	drained chan struct{}
}

func (r *rundown) acquire() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return false
	}
	r.count++
	return true
}

func (r *rundown) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count--; r.count == 0 && r.closing {
		close(r.drained)
	}
}

// wait lets nobody in any more, and returns when everybody is out.
func (r *rundown) wait(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	r.closing = true
	r.drained = make(chan struct{})
	if r.count == 0 {
		close(r.drained)
	}
	r.mu.Unlock()
	select {
	case <-r.drained:
	case <-testenv.Context(t, waitLimit).Done():
		t.Fatal("rundown does not end")
	}
}

// scribble does to memory what happens to it when its owner has left: to a stack frame, or a block that has been freed.
func scribble(b []byte) {
	for i := range b {
		b[i] = 0xDD
	}
}
