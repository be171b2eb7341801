// SPDX-License-Identifier: Apache-2.0

package send

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// fakeDriver is a rig whose NIC has zero-copy, with interrupts that the test makes.
type fakeDriver struct {
	*rig
	socket  *wsk.Socket
	to      wsk.SOCKADDR
	running atomic.Bool
}

// newFakeDriver makes one that runs: what it is woken for it sends and completes.
func newFakeDriver(t *testing.T, config xdptest.Config) *fakeDriver {
	return newFakeDriverStalling(t, config, 2*waitLimit)
}

// newFakeDriverStalling makes one with a stall timeout.
func newFakeDriverStalling(t *testing.T, config xdptest.Config, stall time.Duration) *fakeDriver {
	config.ZeroCopy = true
	d := &fakeDriver{rig: newRig(t, config)}
	d.host.StallTimeout = stall
	d.running.Store(true)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go d.interrupts(stop, stopped)
	t.Cleanup(func() { close(stop); <-stopped })
	d.socket = d.rig.socket()
	d.to = d.warm(d.socket)
	return d
}

// interrupts polls the newest socket as NAPI would.
func (d *fakeDriver) interrupts(stop, stopped chan struct{}) {
	defer close(stopped)
	tick := time.NewTicker(100 * time.Microsecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if d.running.Load() && d.kernels.count() > 0 {
			d.kernels.newest().Poll()
		}
	}
}

// TestZeroCopyNeedsNoKick: with the flag off the driver goes on by itself, and nobody makes a system call.
func TestZeroCopyNeedsNoKick(t *testing.T) {
	d := newFakeDriver(t, xdptest.Config{})
	k := d.kernels.newest()
	k.SetNeedWakeup(false)
	before := d.info().Counters
	awaitAll(t, sendAll(d.socket, d.to, 500), wsk.STATUS_SUCCESS)
	after := d.info().Counters
	if after.Kicks != before.Kicks || after.KicksSaved == before.KicksSaved {
		t.Errorf("%d kicks with the flag off, %d saved", after.Kicks-before.Kicks, after.KicksSaved-before.KicksSaved)
	}
	k.SetNeedWakeup(true)
	awaitAll(t, sendAll(d.socket, d.to, 10), wsk.STATUS_SUCCESS)
	if n := d.info().Counters.Kicks; n == after.Kicks {
		t.Error("no kick with the flag on")
	}
}

// TestZeroCopyOutOfOrder completes late, and in random order, over the wrap of the cursors.
//
// Invariants I1, I4.
func TestZeroCopyOutOfOrder(t *testing.T) {
	d := newFakeDriver(t, xdptest.Config{Start: 0xffff_ff80})
	k := d.kernels.newest()
	k.HoldCompletions(true)
	for round := range 20 {
		irps := sendAll(d.socket, d.to, 150) // more than chunks
		for done := 0; done < len(irps); {
			testenv.Eventually(t, waitLimit, "frames with the driver", func() bool { return k.Held() > 0 })
			done += k.CompleteHeld(-1, xdptest.Random, uint64(round))
		}
		awaitAll(t, irps, wsk.STATUS_SUCCESS)
	}
	if q := d.info(); q.Foreign != 0 || q.Dropped != 0 || q.Rebuilds != 0 {
		t.Errorf("%+v", q)
	}
}

// TestZeroCopyErrnos: what a kick says concerns the queue, never a frame.
func TestZeroCopyErrnos(t *testing.T) {
	for _, tc := range []struct {
		errno    syscall.Errno
		rebuilds uint64
	}{
		{syscall.EAGAIN, 0}, {syscall.EBUSY, 0}, {syscall.ENOBUFS, 0}, {syscall.EINTR, 0}, {syscall.ENETDOWN, 0},
		{syscall.EINVAL, 1}, {syscall.ENXIO, 1}, {syscall.EOPNOTSUPP, 1}, {syscall.EPERM, 1},
	} {
		d := newFakeDriver(t, xdptest.Config{})
		d.running.Store(false) // the frame is in the ring when the kick fails
		d.kernels.newest().FailKicks(tc.errno)
		irps := sendAll(d.socket, d.to, 3)
		d.running.Store(true)
		awaitAll(t, irps, wsk.STATUS_SUCCESS)
		if q := d.info(); q.Rebuilds != tc.rebuilds || q.Dropped != 0 || q.State != "up" {
			t.Errorf("%v: %d rebuilds, want %d; %d dropped; %s", tc.errno, q.Rebuilds, tc.rebuilds, q.Dropped, q.State)
		}
	}
}

// TestZeroCopyReset: the driver has taken frames and then knows the queue no more. They end with a time-out, what it had not
// taken leaves through the new socket.
func TestZeroCopyReset(t *testing.T) {
	d := newFakeDriver(t, xdptest.Config{})
	k := d.kernels.newest()
	k.HoldCompletions(true)
	taken := sendAll(d.socket, d.to, 20)
	testenv.Eventually(t, waitLimit, "frames with the driver", func() bool { return k.Held() == 20 })
	d.running.Store(false)
	waiting := sendAll(d.socket, d.to, 100) // fills the ring, and more
	k.FailKicks(syscall.ENXIO, syscall.ENXIO)
	last := sendAll(d.socket, d.to, 1)
	awaitAll(t, taken, wsk.STATUS_IO_TIMEOUT)
	d.running.Store(true)
	awaitAll(t, append(waiting, last...), wsk.STATUS_SUCCESS)
	if q := d.info(); q.Rebuilds != 1 || d.kernels.count() != 2 {
		t.Errorf("%d rebuilds, %d sockets", q.Rebuilds, d.kernels.count())
	}
}

// TestZeroCopyGone: the same errno, and netlink says that the device is gone.
func TestZeroCopyGone(t *testing.T) {
	d := newFakeDriver(t, xdptest.Config{})
	k := d.kernels.newest()
	k.HoldCompletions(true)
	taken := sendAll(d.socket, d.to, 20)
	testenv.Eventually(t, waitLimit, "frames with the driver", func() bool { return k.Held() == 20 })
	d.dev.setLink(LinkState{})
	k.Remove()
	awaitAll(t, append(taken, sendAll(d.socket, d.to, 5)...), wsk.STATUS_FILE_FORCED_CLOSED)
	if d.kernels.count() != 1 || !k.Closed() {
		t.Errorf("%d sockets, the first closed: %v", d.kernels.count(), k.Closed())
	}
}

// TestZeroCopyCarrier: without carrier the driver leaves frames in the ring and says nothing. They stay pending, can be cancelled,
// and leave when the carrier is back, announced or not.
func TestZeroCopyCarrier(t *testing.T) {
	for _, announced := range []bool{true, false} {
		d := newFakeDriverStalling(t, xdptest.Config{}, stallTime)
		k := d.kernels.newest()
		k.SetCarrier(false)
		d.dev.setLink(noCarrier)
		irps := sendAll(d.socket, d.to, 80)
		if announced {
			d.queue().CarrierLost()
		}
		d.awaitState("down")
		for i, irp := range irps {
			if !pending(irp) {
				t.Fatalf("IRP %d ended with %v without a carrier", i, irp.IoStatus.Status)
			}
		}
		for _, i := range []int{79, 0} { // one on the waiting list, one in the ring: that has the socket replaced, where Cancel may say no
			if !irps[i].Cancel() {
				t.Errorf("IRP %d can't be cancelled", i)
			}
			awaitAll(t, irps[i:i+1], wsk.STATUS_CANCELLED)
		}
		d.kernels.mu.Lock()
		for _, k := range d.kernels.all {
			k.SetCarrier(true)
		}
		d.kernels.mu.Unlock()
		d.dev.setLink(linked)
		if announced {
			d.queue().LinkUp()
		}
		awaitAll(t, irps[1:79], wsk.STATUS_SUCCESS)
		d.awaitState("up")
	}
}

// TestZeroCopyCompletionsOnDemand: a driver that looks at what it has sent only when it is woken is woken, although there is
// nothing to send.
func TestZeroCopyCompletionsOnDemand(t *testing.T) {
	d := newFakeDriver(t, xdptest.Config{})
	k := d.kernels.newest()
	k.HoldCompletions(true)
	irps := sendAll(d.socket, d.to, 5)
	testenv.Eventually(t, waitLimit, "frames with the driver", func() bool { return k.Held() == 5 })
	woken := k.Woken()
	testenv.Eventually(t, waitLimit, "the driver to be woken", func() bool { return k.Woken() > woken })
	k.CompleteHeld(-1, xdptest.Reverse, 0)
	awaitAll(t, irps, wsk.STATUS_SUCCESS)
}

// TestZeroCopyStall: completions that never come are given up after the driver was woken whatever its flag said.
func TestZeroCopyStall(t *testing.T) {
	d := newFakeDriverStalling(t, xdptest.Config{}, stallTime)
	k := d.kernels.newest()
	k.HoldCompletions(true)
	k.SetNeedWakeup(false)
	woken := k.Woken()
	irps := sendAll(d.socket, d.to, 5)
	awaitAll(t, irps, wsk.STATUS_IO_TIMEOUT)
	if k.Woken() == woken {
		t.Error("given up without a try")
	}
	mustSucceed(t, "afterwards", sendOne(t, d.socket, whole([]byte("x")), d.to, nil))
}

// TestComplaint: a rebuild that fails ten times a second is reported once, and again when it lasts or changes.
func TestComplaint(t *testing.T) {
	gone, later := errors.New("gone"), errors.New("later")
	var c complaint
	now := time.Now()
	for i, tc := range []struct {
		err   error
		after time.Duration
		want  bool
	}{
		{gone, 0, true}, {gone, rebuildRetry, false}, {later, 2 * rebuildRetry, true},
		{later, 3 * rebuildRetry, false}, {later, complaintInterval + 3*rebuildRetry, true},
	} {
		if got := c.isNews(tc.err, now.Add(tc.after)); got != tc.want {
			t.Errorf("%d: %v", i, got)
		}
	}
}
