// SPDX-License-Identifier: Apache-2.0

package send

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestKickTakenByOthers sends while somebody who is no sender has the right to kick: what the sender leaves behind is looked
// after, on a queue that works and on one that has ended. In a guest the loss of a carrier came just then, and the IRP
// stayed for ever.
//
// Invariant I1.
func TestKickTakenByOthers(t *testing.T) {
	for name, holder := range map[string]func(*Queue){
		"carrier lost":  (*Queue).CarrierLost,
		"link up":       (*Queue).LinkUp,
		"program taken": (*Queue).ProgramTaken,
		"load over":     ShiftDown,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, xdptest.Config{Budget: -1})
			s := r.socket()
			to := r.warm(s)
			q := r.queue()
			q.poll.wake()
			testenv.Eventually(t, waitLimit, "an idle poller", q.poll.idle.Load)
			irp := sendBeside(t, q, s, to, holder)
			mustSucceed(t, "datagram", await(t, irp))

			q.Shutdown(wsk.STATUS_FILE_FORCED_CLOSED)
			testenv.Eventually(t, waitLimit, "the end of the poller", q.poll.ended.Load)
			irp = sendBeside(t, q, s, to, holder)
			if status := await(t, irp); status != wsk.STATUS_FILE_FORCED_CLOSED {
				t.Errorf("datagram for a queue that has ended: %v", status)
			}
		})
	}
}

// sendBeside sends one datagram while the right to kick is taken, and lets go of it to holder.
func sendBeside(t *testing.T, q *Queue, s *wsk.Socket, to wsk.SOCKADDR, holder func(*Queue)) *wsk.IRP {
	t.Helper()
	q.kickMu.Lock()
	held := make(chan struct{})
	go func() {
		defer close(held)
		holder(q)
	}()
	irp := sendAll(s, to, 1)[0]
	q.kickMu.Unlock()
	select {
	case <-held:
	case <-time.After(waitLimit):
		t.Fatal("the holder does not end")
	}
	return irp
}

// TestEndOfQueueInHighGear ends a queue while a frame waits for a burst that will not fill: the frame ends with the queue, and
// who still comes for the queue finds nothing of it.
func TestEndOfQueueInHighGear(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	q := r.queue()
	testenv.Eventually(t, waitLimit, "an idle poller", q.poll.idle.Load)
	q.poll.high.Store(true) // with no watcher to kick
	waits := sendAll(s, to, 3)
	q.Shutdown(wsk.STATUS_FILE_FORCED_CLOSED)
	for _, irp := range append(waits, sendAll(s, to, 1)...) {
		if status := await(t, irp); status != wsk.STATUS_FILE_FORCED_CLOSED {
			t.Errorf("%v", status)
		}
	}
}

// TestListBeyondTheRing sends a list with more datagrams than there are chunks: the sender builds, publishes and kicks what
// waits as often as chunks come back, and leaves nothing to the poller.
func TestListBeyondTheRing(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	q := r.queue()
	testenv.Eventually(t, waitLimit, "an idle poller", q.poll.idle.Load)
	nodes := make([]wsk.BufList, 1000)
	for i := range nodes {
		nodes[i].Buffer = *whole([]byte("x"))
		if i > 0 {
			nodes[i-1].Next = &nodes[i]
		}
	}
	irp := wsk.AllocateIRP()
	s.SendMessages(&nodes[0], 0, to, nil, irp)
	if pending(irp) {
		t.Error("the sender has left datagrams behind although the kernel takes all")
	}
	mustSucceed(t, "a long list", await(t, irp))
}
