// SPDX-License-Identifier: Apache-2.0

package send

import (
	"context"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Config says what to send.
type Config struct {
	Socket  *wsk.Socket
	Remote  wsk.SOCKADDR
	Control []byte
	Payload []byte
	Count   int
	// Timeout bounds the wait for each IRP; then it is cancelled. What is with the kernel can't be cancelled, and
	// is waited for another Timeout.
	Timeout time.Duration
}

// Result is one IRP.
type Result struct {
	Index int `json:"index"`
	// Status and Code are the NTSTATUS in both forms.
	Status string `json:"status"`
	Code   uint32 `json:"status_code"`
	// Bytes is IoStatus.Information.
	Bytes uint64 `json:"bytes"`
	// Nanoseconds is the time from the call of WskSendTo to the completion routine.
	Nanoseconds int64 `json:"completion_ns"`
	// TimedOut says that the IRP was cancelled because Timeout was over.
	TimedOut bool `json:"timed_out,omitempty"`
	// Unfinished says that the IRP was still pending when waiting ended; Status is then STATUS_PENDING.
	Unfinished bool `json:"unfinished,omitempty"`

	status wsk.NTSTATUS
}

// NTSTATUS is the status as the type.
func (r *Result) NTSTATUS() wsk.NTSTATUS { return r.status }

// Run sends Count datagrams, each after the completion of the one before, and calls report for each. It ends early when
// ctx does; the IRP that is pending then is cancelled and reported too.
func Run(ctx context.Context, c Config, report func(Result)) {
	for i := 0; i < c.Count && ctx.Err() == nil; i++ {
		report(sendOne(ctx, c, i))
	}
}

func sendOne(ctx context.Context, c Config, index int) Result {
	mdl := wsk.AllocateMDL(c.Payload)
	buf := wsk.Buf{Mdl: mdl, Length: uintptr(len(c.Payload))}
	irp := wsk.AllocateIRP()
	var ended time.Time // written before finished is closed
	finished := make(chan struct{})
	irp.SetCompletionRoutine(func(*wsk.IRP, any) wsk.NTSTATUS {
		ended = time.Now()
		close(finished)
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}, nil, true, true, true)

	started := time.Now()
	c.Socket.SendTo(&buf, 0, c.Remote, c.Control, irp)
	r := Result{Index: index}
	timer := time.NewTimer(c.Timeout)
	defer timer.Stop()
	select {
	case <-finished:
	case <-timer.C:
		r.TimedOut = true
		irp.Cancel()
	case <-ctx.Done():
		irp.Cancel()
	}
	timer.Reset(c.Timeout)
	select {
	case <-finished:
		r.status, r.Bytes = irp.IoStatus.Status, uint64(irp.IoStatus.Information)
		r.Nanoseconds = ended.Sub(started).Nanoseconds()
	case <-timer.C:
		r.status, r.Unfinished = wsk.STATUS_PENDING, true
		r.Nanoseconds = time.Since(started).Nanoseconds()
	}
	r.Status, r.Code = r.status.String(), uint32(r.status)
	return r
}
