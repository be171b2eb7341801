// SPDX-License-Identifier: Apache-2.0

package send

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestRoutinePanics: a completion routine panics under a call of its client, who recovers. What others wait for completes
// all the same, and the sockets can be closed. Invariant I4.
func TestRoutinePanics(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	panics, other := r.socket(), r.socket()
	to := r.warm(panics)
	r.warm(other)
	q := r.queue()
	testenv.Eventually(t, waitLimit, "an idle poller", q.poll.idle.Load)
	q.poll.high.Store(true) // nobody but the test kicks
	irp := wsk.AllocateIRP()
	irp.SetCompletionRoutine(func(*wsk.IRP, any) wsk.NTSTATUS { panic("of the client") }, nil, true, true, true)
	irps := sendAll(other, to, 3)
	panics.SendTo(whole([]byte("x")), 0, to, nil, irp)
	irps = append(irps, sendAll(other, to, 5)...)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the routine's panic has not reached the caller")
			}
		}()
		q.drive()
	}()
	q.poll.high.Store(false)
	awaitAll(t, irps, wsk.STATUS_SUCCESS)
	closeSocket(t, panics)
	closeSocket(t, other)
}
