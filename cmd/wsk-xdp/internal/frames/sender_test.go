// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// kernel is a fake queue, and what was sent over it.
func kernel(t *testing.T, c xdptest.Config) (*xdptest.Kernel, *int) {
	t.Helper()
	sent := new(int)
	c.OnSend = func(frame []byte) {
		*sent++
		if _, err := testenv.Decode(frame); err != nil {
			t.Errorf("frame %d: %v", *sent, err)
		}
	}
	k, err := xdptest.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return k, sent
}

// burst is how many frames the senders here put into the ring before a kick.
const burst = 64

func maker(t *testing.T) *Maker {
	t.Helper()
	m, err := NewMaker(plan(t, true, 10))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// As many as were asked for leave, once each, on every kind of kernel, and the cursors of the rings go round.
func TestCountIsExact(t *testing.T) {
	for _, c := range []xdptest.Config{
		{}, {Budget: 1}, {TxChunks: 7, TxRing: 8}, {LazyConsumer: true, Budget: 16}, {Start: 1<<32 - 30}, {MaxHeld: 3}, {TxChunks: 64, TxRing: 2},
	} {
		for _, rate := range []blast.Rate{0, blast.PPS(100_000)} {
			k, sent := kernel(t, c)
			res, err := Run(t.Context(), blast.Config{Count: 1000, Rate: rate, Batch: burst, Drain: time.Minute}, k, maker(t))
			if err != nil || *sent != 1000 || res.Submitted != 1000 || res.Completed != 1000 || res.Failed != 0 || res.Unfinished != 0 ||
				res.Payload != 1000/4*(18+119+40+120) || res.Completing > res.Elapsed {
				t.Errorf("%+v at %v: %d sent, %+v, %v", c, rate, *sent, res, err)
			}
		}
	}
}

// A frame that the device drops is no success, and costs none of the others.
func TestDrops(t *testing.T) {
	for _, lazy := range []bool{false, true} {
		k, sent := kernel(t, xdptest.Config{LazyConsumer: lazy})
		for _, seq := range []uint64{0, 5, 6, 499} {
			k.Plan(seq, xdptest.Drop)
		}
		k.Plan(100, xdptest.Twice)
		k.Plan(200, xdptest.Stall)
		res, err := Run(t.Context(), blast.Config{Count: 500, Batch: burst, Drain: time.Minute}, k, maker(t))
		if err != nil || *sent != 496 || res.Completed != 496 || res.Failed != 4 || res.Unfinished != 0 || len(res.ByStatus) != 1 {
			t.Errorf("%d sent, %+v, %v", *sent, res, err)
		}
	}
}

// A completion that is lost is told at the end, and the wait for it has one.
func TestLostCompletions(t *testing.T) {
	k, _ := kernel(t, xdptest.Config{})
	k.Plan(3, xdptest.Lose)
	res, err := Run(t.Context(), blast.Config{Count: 10, Batch: burst, Drain: 10 * time.Millisecond}, k, maker(t))
	if err != nil || res.Completed != 9 || res.Unfinished != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}

// A device that is gone ends the run; what the kernel refuses for ever is an error; a link that comes back goes on.
func TestTroubleOfTheDevice(t *testing.T) {
	k, _ := kernel(t, xdptest.Config{})
	k.FailKicks(unix.ENXIO)
	if res, err := Run(t.Context(), blast.Config{Duration: time.Hour, Batch: burst, Drain: time.Hour}, k, maker(t)); err != nil || !res.Dead {
		t.Errorf("%+v, %v", res, err)
	}
	k, _ = kernel(t, xdptest.Config{})
	k.Plan(5, xdptest.Wedge)
	if res, err := Run(t.Context(), blast.Config{Duration: time.Hour, Batch: burst, Drain: time.Hour}, k, maker(t)); err == nil {
		t.Errorf("%+v", res)
	}
	k, sent := kernel(t, xdptest.Config{})
	k.FailKicks(unix.ENETDOWN, unix.EAGAIN, unix.ENOBUFS, unix.ENETDOWN)
	res, err := Run(t.Context(), blast.Config{Count: 300, Batch: burst, Drain: time.Minute}, k, maker(t))
	if err != nil || *sent != 300 || res.Completed != 300 {
		t.Errorf("%d sent, %+v, %v", *sent, res, err)
	}
}

// The duration ends a run at the full rate, and an interrupt any, with everything accounted for.
func TestRunEnds(t *testing.T) {
	k, sent := kernel(t, xdptest.Config{})
	res, err := Run(t.Context(), blast.Config{Duration: 20 * time.Millisecond, Batch: burst, Drain: time.Minute}, k, maker(t))
	if err != nil || res.Completed != uint64(*sent) || res.Submitted != res.Completed || res.Sending < 20*time.Millisecond || res.Interrupted {
		t.Errorf("%d sent, %+v, %v", *sent, res, err)
	}
	k, _ = kernel(t, xdptest.Config{})
	res, err = Run(t.Context(), blast.Config{Rate: blast.PPS(5000), Duration: 100 * time.Millisecond, Batch: burst, Drain: time.Minute}, k, maker(t))
	if err != nil || res.Submitted+res.Forfeited != 500 {
		t.Errorf("%+v, %v: 500 were due", res, err)
	}
	for _, hold := range []bool{false, true} {
		k, _ = kernel(t, xdptest.Config{})
		k.HoldCompletions(hold)
		ctx, cancel := context.WithCancel(t.Context())
		seconds := 0
		c := blast.Config{Rate: blast.PPS(10), Duration: time.Hour, Batch: burst, Drain: time.Hour}
		c.OnInterval = func(blast.Interval) { seconds++ }
		stop := time.AfterFunc(250*time.Millisecond, cancel)
		res, err = Run(ctx, c, k, maker(t))
		stop.Stop()
		if err != nil || !res.Interrupted || res.Elapsed > time.Minute || hold == (res.Unfinished == 0) && res.Submitted > 0 {
			t.Errorf("%+v, %v", res, err)
		}
	}
}
