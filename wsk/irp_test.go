// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const more = STATUS_MORE_PROCESSING_REQUIRED

// Checklist item 20: which outcomes call the routine, for the eight sets of flags.
func TestInvokeFlags(t *testing.T) {
	for flags := range 8 {
		onSuccess, onError, onCancel := flags&1 != 0, flags&2 != 0, flags&4 != 0
		for _, c := range []struct {
			name   string
			status NTSTATUS
			cancel bool
			want   bool
		}{
			{"success", STATUS_SUCCESS, false, onSuccess},
			{"error", STATUS_HOST_UNREACHABLE, false, onError},
			{"warning", STATUS_BUFFER_OVERFLOW, false, onError},
			{"cancelled", STATUS_CANCELLED, true, onError || onCancel},
			{"success-after-cancel", STATUS_SUCCESS, true, onSuccess || onCancel},
		} {
			var irp IRP
			called := false
			irp.SetCompletionRoutine(func(*IRP, any) NTSTATUS { called = true; return more }, nil, onSuccess, onError, onCancel)
			irp.begin()
			if c.cancel {
				irp.Cancel()
			}
			irp.complete(c.status, 0)
			if called != c.want {
				t.Errorf("success %v error %v cancel %v, %s: called %v", onSuccess, onError, onCancel, c.name, called)
			}
			if irp.IoStatus.Status != c.status {
				t.Errorf("%s: IoStatus %v", c.name, irp.IoStatus.Status)
			}
		}
	}
}

// Checklist item 20: a passed-down IRP completes upward, by flags and by what routines answer.
func TestPassedDownIRP(t *testing.T) {
	for _, c := range []struct {
		name          string
		lower         bool // the driver that passed it down has a routine
		answer        NTSTATUS
		onSuccess     bool
		pending       bool
		want          string
		wantPending   bool
		thenCompletes bool // the driver completes it later
	}{
		{"no-routine", false, 0, false, false, "upper", false, false},
		{"no-routine-pending", false, 0, false, true, "upper", true, false},
		{"routine-lets-go", true, STATUS_SUCCESS, true, true, "lower upper", true, false},
		{"routine-not-chosen", true, STATUS_SUCCESS, false, true, "upper", true, false},
		{"routine-keeps", true, more, true, true, "lower", false, false},
		{"routine-keeps-then-completes", true, more, true, true, "lower upper", true, true},
	} {
		var irp IRP
		var order []string
		var upperPending bool
		irp.SetCompletionRoutine(func(irp *IRP, _ any) NTSTATUS {
			order = append(order, "upper")
			upperPending = irp.PendingReturned
			return more
		}, nil, true, true, true)
		irp.PassDown()
		if c.lower {
			irp.SetCompletionRoutine(func(irp *IRP, _ any) NTSTATUS {
				order = append(order, "lower")
				if irp.PendingReturned {
					irp.MarkPending()
				}
				return c.answer
			}, nil, c.onSuccess, true, true)
		}
		irp.begin()
		irp.PendingReturned = c.pending
		irp.complete(STATUS_SUCCESS, 5)
		if c.thenCompletes {
			if !irp.pending() {
				t.Errorf("%s: the IRP is not pending for the driver above", c.name)
			}
			irp.CompleteRequest()
		}
		if got := strings.Join(order, " "); got != c.want || upperPending != c.wantPending {
			t.Errorf("%s: %q, pending %v, want %q, %v", c.name, got, upperPending, c.want, c.wantPending)
		}
	}
}

// A violated contract is loud.
func TestIRPMisusePanics(t *testing.T) {
	pending := func() *IRP {
		irp := AllocateIRP()
		irp.begin()
		return irp
	}
	done := func() *IRP {
		irp := pending()
		irp.complete(STATUS_SUCCESS, 0)
		return irp
	}
	down := func() *IRP {
		irp := AllocateIRP()
		irp.PassDown()
		irp.SetCompletionRoutine(func(*IRP, any) NTSTATUS { return more }, nil, true, true, true)
		irp.begin()
		irp.complete(STATUS_SUCCESS, 0)
		return irp
	}
	for _, c := range []struct {
		name, text string
		f          func()
	}{
		{"pass-while-pending", "still pending", func() { pending().begin() }},
		{"pass-without-reuse", "call Reuse first", func() { done().begin() }},
		{"reuse-while-pending", "Reuse of a pending IRP", func() { pending().Reuse(0) }},
		{"routine-while-pending", "SetCompletionRoutine on a pending", func() { pending().SetCompletionRoutine(nil, nil, true, true, true) }},
		{"pass-down-while-pending", "PassDown of a pending", func() { pending().PassDown() }},
		{"complete-twice", "completed twice", func() { done().complete(0, 0) }},
		{"complete-fresh", "without having been passed", func() { new(IRP).complete(0, 0) }},
		{"complete-reused", "without having been passed", func() { irp := done(); irp.Reuse(0); irp.complete(0, 0) }},
		{"complete-twice-passed-down", "completed twice", func() { down().complete(0, 0) }},
		{"complete-request-own", "was not stopped", func() { done().CompleteRequest() }},
	} {
		func() {
			defer func() {
				text, _ := recover().(string)
				if !strings.Contains(text, c.text) || !strings.HasPrefix(text, "wsk: ") {
					t.Errorf("%s: panic %q, want %q in it", c.name, text, c.text)
				}
			}()
			c.f()
		}()
	}
}

// A completion that is refused has not touched the result.
func TestSecondCompletionLeavesIoStatus(t *testing.T) {
	irp := AllocateIRP()
	irp.begin()
	irp.complete(STATUS_SUCCESS, 7)
	func() {
		defer func() { _ = recover() }()
		irp.complete(STATUS_UNSUCCESSFUL, 0)
	}()
	if irp.IoStatus.Status != STATUS_SUCCESS || irp.IoStatus.Information != 7 {
		t.Errorf("%+v", irp.IoStatus)
	}
}

// Checklist item 77: a completed IRP has no chain of its client any more, so that an idle one keeps no payload alive,
// and a transport that looks at it finds nothing.
func TestCompletionDropsBuffers(t *testing.T) {
	s, transport := newSinkSocket(t, "0.0.0.0:1000")
	to := NewSockaddr(netip.MustParseAddrPort("192.0.2.1:9"))
	irp := AllocateIRP()
	buf := Buf{Mdl: AllocateMDL(make([]byte, 9)), Length: 9}
	s.SendTo(&buf, 0, to, nil, irp)
	transport.op.Complete(STATUS_SUCCESS)
	if irp.op.Bufs != nil || irp.op.one[0] != (Buf{}) {
		t.Error("a completed SendTo still has its buffer")
	}
	irp.Reuse(0)
	s.SendMessages(&BufList{Buffer: buf, Next: &BufList{Buffer: buf}}, 0, to, nil, irp)
	transport.op.Complete(STATUS_SUCCESS)
	if irp.op.Bufs != nil || len(irp.list) != 2 || irp.list[0] != (Buf{}) || irp.list[1] != (Buf{}) {
		t.Error("a completed SendMessages still has its buffers")
	}
	irp.Reuse(0)
	s.SendMessages(&BufList{Buffer: buf, Next: &BufList{Buffer: Buf{Length: 1}}}, 0, to, nil, irp)
	if _ = irp.Wait(t.Context()); len(irp.list) != 1 || irp.list[0] != (Buf{}) {
		t.Error("a refused SendMessages still has its buffers")
	}
}

func TestReuseClears(t *testing.T) {
	irp := AllocateIRP()
	irp.SetCompletionRoutine(func(*IRP, any) NTSTATUS { t.Error("routine of the earlier operation"); return more }, t, false, true, false)
	irp.begin()
	irp.PendingReturned = true
	irp.Cancel()
	irp.complete(STATUS_SUCCESS, 7)
	irp.Reuse(STATUS_TIMEOUT)
	if irp.IoStatus != (IOStatusBlock{Status: STATUS_TIMEOUT}) || irp.PendingReturned || irp.cancelRequested() || irp.context != nil {
		t.Errorf("after Reuse: %+v", irp.IoStatus)
	}
	if irp.begin() {
		t.Error("the cancel of the earlier operation hit the next")
	}
	irp.complete(STATUS_UNSUCCESSFUL, 0)
}

// Checklist item 19, the flag: cancel before the call, and after the completion.
func TestCancelFlag(t *testing.T) {
	irp := AllocateIRP()
	if irp.Cancel() {
		t.Error("Cancel of an IRP that is nowhere: true")
	}
	if !irp.begin() {
		t.Error("a cancelled IRP begins as if it were not")
	}
	if irp.Cancel() {
		t.Error("Cancel of an operation that can't be taken back: true")
	}
	irp.complete(STATUS_CANCELLED, 0)
	if irp.Cancel() {
		t.Error("Cancel after completion: true")
	}
	irp.Reuse(0)
	if irp.begin() {
		t.Error("Reuse left the cancel flag")
	}
}

// taker counts what CancelSend is given.
type taker struct {
	mu    sync.Mutex
	taken int
}

func (c *taker) CancelSend(op *SendOp) {
	c.mu.Lock()
	c.taken++
	c.mu.Unlock()
	op.Complete(STATUS_CANCELLED)
}

// armed is an IRP in a transport's hands.
func armed() (*IRP, *SendOp) {
	irp := AllocateIRP()
	irp.begin()
	irp.op.irp, irp.op.socket = irp, new(Socket)
	return irp, &irp.op
}

// ArmCancel and DisarmCancel by the transport contract: the look at the flag after publishing closes the race.
func TestArmCancel(t *testing.T) {
	c := new(taker)
	irp, op := armed()
	if !op.ArmCancel(c) || !op.DisarmCancel() || op.DisarmCancel() {
		t.Error("arm, disarm, disarm")
	}
	if irp.Cancel() || c.taken != 0 {
		t.Error("a disarmed operation was taken")
	}
	if op.ArmCancel(c) {
		t.Error("armed although the IRP is cancelled")
	}
	op.Complete(STATUS_CANCELLED)

	irp, op = armed()
	op.ArmCancel(c)
	if !irp.Cancel() || c.taken != 1 || irp.IoStatus.Status != STATUS_CANCELLED {
		t.Error("an armed operation was not taken")
	}
	if op.DisarmCancel() {
		t.Error("disarmed what a canceller has")
	}
}

// The race of arming and cancelling: exactly one side ends the operation.
func TestArmCancelRace(t *testing.T) {
	c := new(taker)
	for range 20000 {
		irp, op := armed()
		done := make(chan struct{})
		irp.SetCompletionRoutineForTest(func(*IRP, any) NTSTATUS { close(done); return more })
		go irp.Cancel()
		c.mu.Lock()
		mine := !op.ArmCancel(c)
		c.mu.Unlock()
		if mine {
			op.Complete(STATUS_CANCELLED)
		}
		<-done
	}
}

// SetCompletionRoutineForTest sets the routine of an IRP that is in a transport's hands already.
func (irp *IRP) SetCompletionRoutineForTest(routine CompletionRoutine) {
	irp.routine, irp.invoke = routine, SL_INVOKE_ON_CANCEL|SL_INVOKE_ON_ERROR|SL_INVOKE_ON_SUCCESS
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		irp := AllocateIRP()
		if err := irp.Wait(t.Context()); err != nil {
			t.Errorf("an IRP that is not pending: %v", err)
		}
		irp.begin()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := irp.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deadline: %v", err)
		}
		if irp.waiters != nil {
			t.Error("a waiter that gave up is still on the list")
		}
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := irp.Wait(context.Background()); err != nil || irp.IoStatus.Information != 42 {
					t.Errorf("woken with %v, %+v", err, irp.IoStatus)
				}
			})
		}
		synctest.Wait()
		irp.complete(STATUS_SUCCESS, 42)
		wg.Wait()
		if err := irp.Wait(ctx); err != nil {
			t.Errorf("after completion, with a dead context: %v", err)
		}
	})
}

// A Wait that began before the completion returns after the routine.
func TestWaitReturnsAfterRoutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		irp := AllocateIRP()
		var routineDone bool
		irp.SetCompletionRoutine(func(irp *IRP, _ any) NTSTATUS {
			time.Sleep(time.Second) // virtual
			routineDone = true
			return more
		}, nil, true, true, true)
		irp.begin()
		go func() {
			time.Sleep(time.Second)
			irp.complete(STATUS_SUCCESS, 0)
		}()
		if err := irp.Wait(t.Context()); err != nil || !routineDone {
			t.Errorf("woken with %v, routine done: %v", err, routineDone)
		}
	})
}

// Many IRPs complete while they are waited for: every waiter wakes up.
func TestWaitRace(t *testing.T) {
	irp := AllocateIRP()
	for i := range 20000 {
		irp.begin()
		go irp.complete(STATUS_SUCCESS, uintptr(i))
		ctx, cancel := context.WithCancel(context.Background())
		if i%3 == 0 {
			go cancel()
		}
		if irp.Wait(ctx) != nil {
			if err := irp.Wait(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if irp.IoStatus.Information != uintptr(i) {
			t.Fatalf("round %d: Information %d", i, irp.IoStatus.Information)
		}
		irp.Reuse(0)
	}
}

// The operation numbers of an IRP wrap after 2^28 operations.
func TestOperationNumbersWrap(t *testing.T) {
	irp := AllocateIRP()
	start := ^irpFlags - 2*irpOne
	irp.begun = start
	irp.state.Store(start)
	for range 8 {
		irp.begin()
		if !irp.pending() || irp.reached(irp.begun) {
			t.Fatal("not pending after begin")
		}
		irp.complete(STATUS_SUCCESS, 0)
		if irp.pending() || !irp.reached(irp.begun) {
			t.Fatal("pending after completion")
		}
		irp.Reuse(0)
	}
}
