// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"io"
	"time"
)

// EndAnyway ends the process when five seconds have passed since ctx was done, whatever hangs: a mount, a log that nobody
// reads, a device. The kernel takes back what the process had. stop takes it back, once everything is closed.
func EndAnyway(ctx context.Context, log io.Writer, exit func(code int)) (stop func()) {
	return endAfter(ctx, endTime, log, exit)
}

func endAfter(ctx context.Context, after time.Duration, log io.Writer, exit func(code int)) (stop func()) {
	stopped := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		late := time.NewTimer(after)
		defer late.Stop()
		select {
		case <-stopped:
			return
		case <-late.C:
		}
		said := make(chan struct{})
		go func() { // which may be what hangs
			defer close(said)
			fmt.Fprintf(log, "wsk-xdp: %v have passed since the end began, and something hangs: the process ends now\n", after)
		}()
		select {
		case <-said:
		case <-time.After(lastWords):
		}
		exit(1)
	})
	return func() {
		forget()
		close(stopped)
	}
}

const lastWords = 100 * time.Millisecond
