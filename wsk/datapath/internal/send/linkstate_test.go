// SPDX-License-Identifier: Apache-2.0

package send

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestCompletedWhileHeld: netlink says late that the carrier is gone, and the driver goes on sending what the queue has made
// cancellable meanwhile. What has completed can't be cancelled any more, before and after the link is said to be up.
//
// Invariant I4.
func TestCompletedWhileHeld(t *testing.T) {
	for _, resumed := range []bool{false, true} {
		d := newFakeDriver(t, xdptest.Config{})
		k := d.kernels.newest()
		d.running.Store(false)
		irps := sendAll(d.socket, d.to, 3)
		testenv.Eventually(t, waitLimit, "frames in the ring", func() bool { return d.info().InFlight == 3 })
		d.dev.setLink(noCarrier)
		d.queue().CarrierLost()
		d.awaitState("down")
		k.HoldCompletions(resumed)
		k.Poll()
		if resumed {
			d.queue().LinkUp()
			k.CompleteHeld(-1, xdptest.InOrder, 0)
		}
		awaitAll(t, irps, wsk.STATUS_SUCCESS)
		for i, irp := range irps {
			if irp.Cancel() {
				t.Errorf("IRP %d was cancelled after its completion", i)
			}
		}
	}
}

// lateCanceller is a canceller that has won an operation and is slow to come for it.
type lateCanceller struct {
	q         *Queue
	won, come chan struct{}
}

func (c *lateCanceller) CancelSend(op *wsk.SendOp) {
	close(c.won)
	<-c.come
	c.q.CancelSend(op)
}

// TestLateCanceller: an operation that was begun and waits for chunks has been won by a canceller who has not come yet. Until
// it does the operation is its own, whatever becomes of the queue.
//
// Invariant I4.
func TestLateCanceller(t *testing.T) {
	for name, end := range map[string]func(*Queue){
		"goes on":   func(q *Queue) { q.harvest(true) },
		"breakdown": func(q *Queue) { q.breakDown("test", wsk.STATUS_IO_TIMEOUT) },
		"give up":   func(q *Queue) { q.giveUp(wsk.STATUS_FILE_FORCED_CLOSED) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, xdptest.Config{TxChunks: 4, TxRing: 8, Budget: -1})
			s := r.socket()
			to := r.warm(s)
			k, q := r.kernels.newest(), r.queue()
			k.HoldCompletions(true)
			var list *wsk.BufList
			for range 6 {
				list = &wsk.BufList{Next: list, Buffer: *whole([]byte("x"))}
			}
			irp := wsk.AllocateIRP()
			s.SendMessages(list, 0, to, nil, irp)
			testenv.Eventually(t, waitLimit, "held", func() bool { return k.Held() == 4 })

			late := &lateCanceller{q, make(chan struct{}), make(chan struct{})}
			q.kickMu.Lock()
			q.mu.Lock()
			op := q.waiting.Head
			if !op.DisarmCancel() || !op.ArmCancel(late) {
				t.Fatal("the operation can't be cancelled")
			}
			cancelled := make(chan bool)
			go func() { cancelled <- irp.Cancel() }()
			<-late.won
			q.refill()
			q.mu.Unlock()
			k.CompleteHeld(1, xdptest.InOrder, 0)
			end(q)
			q.unlockKick()
			q.complete()
			if !pending(irp) {
				t.Errorf("completed with %v under the hands of its canceller", irp.IoStatus.Status)
			}
			close(late.come)
			if !<-cancelled {
				t.Error("not cancelled")
			}
			k.CompleteHeld(-1, xdptest.InOrder, 0)
			if status := await(t, irp); status.Success() {
				t.Errorf("ended with %v", status)
			}
		})
	}
}

// TestLinkDownAfterClose: a socket is closed while its frames lie in the ring, and then they must wait after all, for a link
// or for a new AF_XDP socket. The close does not.
func TestLinkDownAfterClose(t *testing.T) {
	for name, stop := range map[string]func(*Queue, *xdptest.Kernel){
		"link down": func(_ *Queue, k *xdptest.Kernel) {
			k.SetUp(false)
			k.SetNeedWakeup(true)
		},
		"no new socket": func(q *Queue, _ *xdptest.Kernel) {
			q.kickMu.Lock()
			q.reopen = func() (xdp.Queue, error) { return nil, errors.New("not now") }
			q.breakDown("test", wsk.STATUS_IO_TIMEOUT)
			q.unlockKick()
			q.complete()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, xdptest.Config{Budget: -1})
			s := r.socket()
			to := r.warm(s)
			k, q := r.kernels.newest(), r.queue()
			before := k.Consumed()
			k.SetNeedWakeup(false) // so that nobody kicks
			irps := sendAll(s, to, 3)
			testenv.Eventually(t, waitLimit, "frames in the ring", func() bool { return r.info().InFlight == 3 })
			closing := wsk.AllocateIRP()
			s.Close(closing)
			stop(q, k)
			for i, irp := range irps {
				if status := await(t, irp); status != wsk.STATUS_CANCELLED {
					t.Errorf("IRP %d: %v", i, status)
				}
			}
			mustSucceed(t, "close", await(t, closing))
			if n := k.Consumed() - before; n != 0 {
				t.Errorf("%d frames of a closed socket have left", n)
			}
		})
	}
}

// TestMissedLinkUp: nobody says that the link is up again. The kick that finds out is a kick like any other: what it says of
// a frame counts. And it comes although the ring is empty, as it is behind a cancellation.
func TestMissedLinkUp(t *testing.T) {
	for _, emptied := range []bool{false, true} {
		r := newRig(t, xdptest.Config{Budget: -1})
		s := r.socket()
		to := r.warm(s)
		first := r.kernels.newest()
		r.kernels.setup = func(k *xdptest.Kernel) { k.SetUp(false) }
		first.SetNeedWakeup(false) // so that nobody kicks
		irps := sendAll(s, to, 4)
		testenv.Eventually(t, waitLimit, "frames in the ring", func() bool { return r.info().InFlight == 4 })
		first.SetUp(false)
		first.SetNeedWakeup(true)
		testenv.Eventually(t, waitLimit, "down", func() bool { return r.info().State == "down" })
		want := [...]wsk.NTSTATUS{wsk.STATUS_SUCCESS, wsk.STATUS_NETWORK_BUSY, wsk.STATUS_SUCCESS, wsk.STATUS_SUCCESS}
		dropped := uint64(1)
		if emptied {
			if !irps[0].Cancel() {
				t.Fatal("can't be cancelled")
			}
			want[0], dropped = wsk.STATUS_CANCELLED, 0
			testenv.Eventually(t, waitLimit, "a new socket", func() bool {
				return r.kernels.count() == 2 && r.info().State == "down"
			})
		}
		k := r.kernels.newest()
		k.Plan(k.Consumed()+dropped, xdptest.Drop)
		k.SetUp(true)
		for i, irp := range irps {
			if status := await(t, irp); status != want[i] {
				t.Errorf("emptied %v, IRP %d: %v, want %v", emptied, i, status, want[i])
			}
		}
	}
}

// TestCancelledAndSentAgain: a canceller has given its operation to the trampoline, where another goroutine runs its routine, which
// sends the IRP again. The canceller looks at it no more. For the race detector.
func TestCancelledAndSentAgain(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	q := r.queue()
	r.kernels.newest().SetUp(false)
	sendAll(s, to, 1)
	testenv.Eventually(t, waitLimit, "down", func() bool { return r.info().State == "down" })

	var rounds, over atomic.Int32
	buf := whole([]byte("x"))
	var routine wsk.CompletionRoutine
	routine = func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
		if rounds.Add(1) <= 1000 {
			irp.Reuse(wsk.STATUS_SUCCESS)
			irp.SetCompletionRoutine(routine, nil, true, true, true)
			s.SendTo(buf, 0, to, nil, irp)
		} else {
			over.Store(1)
		}
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}
	var runner sync.WaitGroup
	runner.Go(func() {
		for over.Load() == 0 {
			q.complete()
		}
	})
	irp := wsk.AllocateIRP()
	irp.SetCompletionRoutine(routine, nil, true, true, true)
	s.SendTo(buf, 0, to, nil, irp)
	for over.Load() == 0 {
		q.mu.Lock()
		op := q.waiting.Head // not by the IRP, which must not be cancelled while it is reused
		for op != nil && !op.DisarmCancel() {
			op = op.Transport.Next
		}
		q.mu.Unlock()
		if op != nil {
			q.CancelSend(op)
		}
	}
	runner.Wait()
}

// TestWithdrawalOvertaken: the link is up again before the ring could be emptied for an operation that was cancelled. The next
// time it goes down nothing is left to withdraw, and the socket stays: on many NICs a new one takes the link down for seconds.
func TestWithdrawalOvertaken(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	k, q := r.kernels.newest(), r.queue()
	down := func() *wsk.IRP {
		k.SetUp(false)
		irp := sendAll(s, to, 1)[0]
		testenv.Eventually(t, waitLimit, "down", func() bool { return r.info().State == "down" })
		return irp
	}
	irp := down()
	q.kickMu.Lock()
	if !irp.Cancel() {
		t.Fatal("can't be cancelled")
	}
	k.SetUp(true)
	q.mu.Lock()
	q.resume()
	q.mu.Unlock()
	q.unlockKick()
	q.poll.wake()
	if status := await(t, irp); status != wsk.STATUS_CANCELLED {
		t.Errorf("cancelled: %v", status)
	}
	irp = down()
	kicks := k.Counters().Kicks
	testenv.Eventually(t, waitLimit, "the poller to have looked", func() bool {
		return k.Counters().Kicks > kicks+2 || r.info().Rebuilds != 0
	})
	r.kernels.newest().SetUp(true)
	r.queue().LinkUp()
	mustSucceed(t, "the next", await(t, irp))
	if n := r.info().Rebuilds; n != 0 {
		t.Errorf("%d sockets were replaced", n)
	}
}
