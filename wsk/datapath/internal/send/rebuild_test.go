// SPDX-License-Identifier: Apache-2.0

package send

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestNothingBehindInTheRing: what the kernel has given back when a socket goes was sent, however much it is.
func TestNothingBehindInTheRing(t *testing.T) {
	for name, end := range map[string]func(*Queue){
		"breakdown": func(q *Queue) { q.breakDown("test", wsk.STATUS_IO_TIMEOUT) },
		"give up":   func(q *Queue) { q.giveUp(wsk.STATUS_FILE_FORCED_CLOSED) },
	} {
		t.Run(name, func(t *testing.T) {
			const n = 3 * harvestBatch
			r := newRig(t, xdptest.Config{TxChunks: n, TxRing: 1024, Budget: -1})
			s := r.socket()
			to := r.warm(s)
			k, q := r.kernels.newest(), r.queue()
			k.HoldCompletions(true)
			irps := sendAll(s, to, n)
			testenv.Eventually(t, waitLimit, "held", func() bool { return k.Held() == n })
			q.kickMu.Lock()
			k.CompleteHeld(-1, xdptest.InOrder, 0)
			end(q)
			q.unlockKick()
			q.complete()
			for i, irp := range irps {
				if status := await(t, irp); status != wsk.STATUS_SUCCESS {
					t.Fatalf("IRP %d, which was completed: %v", i, status)
				}
			}
		})
	}
}

// TestCountersGoOn: a queue counts on where its socket is replaced.
func TestCountersGoOn(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	q, want := r.queue(), xdp.Counters{}
	for range 3 {
		for _, irp := range sendAll(s, to, 10) {
			mustSucceed(t, "datagram", await(t, irp))
		}
		old := r.kernels.newest()
		q.kickMu.Lock()
		q.breakDown("test", wsk.STATUS_IO_TIMEOUT)
		q.unlockKick()
		q.complete()
		testenv.Eventually(t, waitLimit, "a new socket", func() bool { return r.info().State == "up" })
		want = sum(want, old.Counters())
		got := r.info()
		if got.Counters.Kicks < want.Kicks || got.Counters.KicksSaved < want.KicksSaved || got.Submitted < 10 || want.Kicks == 0 {
			t.Errorf("%+v, where the sockets that are gone have %+v", got, want)
		}
	}
}

// TestLookupWhileRebuilt looks for the way of new flows while the socket of their queue is replaced again and again. For the
// race detector.
func TestLookupWhileRebuilt(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	r.warm(s)
	q := r.queue()
	var stop atomic.Bool
	var lookups sync.WaitGroup
	lookups.Go(func() {
		for port := uint16(1000); !stop.Load(); port++ {
			if status := await(t, sendAll(s, sockaddr(fakeAddr, port), 1)[0]); status != wsk.STATUS_SUCCESS {
				t.Errorf("a new flow: %v", status)
			}
		}
	})
	for range 20 {
		q.kickMu.Lock()
		q.breakDown("test", wsk.STATUS_IO_TIMEOUT)
		q.unlockKick()
		q.complete()
		testenv.Eventually(t, waitLimit, "a new socket", func() bool { return r.info().State == "up" })
	}
	stop.Store(true)
	lookups.Wait()
}

// TestRebuildTakesItsTime: a socket that is not to be had is asked for ten times a second, however much is sent meanwhile.
func TestRebuildTakesItsTime(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	q := r.queue()
	var attempts atomic.Int64
	q.kickMu.Lock()
	reopen := q.reopen
	q.reopen = func() (xdp.Queue, error) {
		if attempts.Add(1) <= 3 {
			return nil, errors.New("not now")
		}
		return reopen()
	}
	began := time.Now() // before the first attempt, so that whatever else the machine does only adds to the time
	q.breakDown("test", wsk.STATUS_IO_TIMEOUT)
	q.unlockKick()
	for irps := []*wsk.IRP(nil); ; {
		irps = append(irps, sendAll(s, to, 10)...)
		if attempts.Load() > 3 {
			for _, irp := range irps {
				mustSucceed(t, "datagram", await(t, irp))
			}
			break
		}
		runtime.Gosched()
	}
	if took := time.Since(began); took < 2*rebuildRetry {
		t.Errorf("asked four times in %v", took)
	}
}
