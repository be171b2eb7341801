// SPDX-License-Identifier: Apache-2.0

package send

import (
	"syscall"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestMisbehavingKernel goes through what a kernel can do with a descriptor, in the middle of a burst.
// Invariants I1, I4.
func TestMisbehavingKernel(t *testing.T) {
	const n, at = 20, 7
	for _, tc := range []struct {
		name   string
		fate   xdptest.Fate
		status wsk.NTSTATUS // of the one at
		others wsk.NTSTATUS
		fresh  bool // a new socket is made
		info   func(Info) bool
	}{
		{"dropped", xdptest.Drop, wsk.STATUS_NETWORK_BUSY, wsk.STATUS_SUCCESS, false, func(q Info) bool { return q.Dropped == 1 }},
		{"found invalid", xdptest.Invalid, wsk.STATUS_INTERNAL_ERROR, wsk.STATUS_SUCCESS, false, func(q Info) bool { return q.Dropped == 1 }},
		{"completed twice", xdptest.Twice, wsk.STATUS_SUCCESS, wsk.STATUS_SUCCESS, false, func(q Info) bool { return q.Foreign == 1 }},
		{"completion lost", xdptest.Lose, wsk.STATUS_IO_TIMEOUT, wsk.STATUS_SUCCESS, true, func(q Info) bool { return q.Rebuilds == 1 }},
		{"refused for a while", xdptest.Stall, wsk.STATUS_SUCCESS, wsk.STATUS_SUCCESS, false, func(q Info) bool { return q.Dropped == 0 }},
		{"refused for ever in silence", xdptest.Refuse, wsk.STATUS_INTERNAL_ERROR, wsk.STATUS_SUCCESS, true, func(q Info) bool { return q.Rebuilds == 1 }},
		{"refused for ever", xdptest.Wedge, wsk.STATUS_INTERNAL_ERROR, wsk.STATUS_SUCCESS, true, func(q Info) bool { return q.Rebuilds == 1 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, xdptest.Config{Budget: -1})
			r.host.StallTimeout = stallTime
			s := r.socket()
			to := r.warm(s)
			k := r.kernels.newest()
			k.Plan(k.Consumed()+at, tc.fate)
			// One kick must find all of them in the ring.
			k.SetNeedWakeup(false)
			irps := sendAll(s, to, n-1)
			k.SetNeedWakeup(true)
			irps = append(irps, sendAll(s, to, 1)...)
			for i, irp := range irps {
				want := tc.others
				if i == at {
					want = tc.status
				}
				if got := await(t, irp); got != want {
					t.Errorf("datagram %d: %v, want %v", i, got, want)
				}
			}
			mustSucceed(t, "afterwards", sendOne(t, s, whole([]byte("x")), to, nil))
			if q := r.info(); !tc.info(q) {
				t.Errorf("%+v", q)
			}
			if fresh := r.kernels.count() > 1; fresh != tc.fresh {
				t.Errorf("%d sockets were made", r.kernels.count())
			}
		})
	}
}

// TestForeignCompletions posts addresses that name nothing under way: they are counted and believed by nobody.
// Invariant I10.
func TestForeignCompletions(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	k := r.kernels.newest()
	k.HoldCompletions(true)
	irps := sendAll(s, to, 3)
	testenv.Eventually(t, waitLimit, "held", func() bool { return k.Held() == 3 })
	foreign := []uint64{0xffff_ffff_ffff_ffff, 1 << 40, 63 * 2048, 62*2048 + 1, 61*2048 + 2047}
	for _, addr := range foreign {
		if !k.PostCompletion(addr) {
			t.Fatal("no room for a completion")
		}
	}
	mustSucceed(t, "one more, completed with the foreign ones", func() wsk.NTSTATUS {
		k.HoldCompletions(false)
		return sendOne(t, s, whole([]byte("x")), to, nil)
	}())
	for i, irp := range irps {
		if !pending(irp) {
			t.Errorf("IRP %d was completed by a foreign address", i)
		}
	}
	if q := r.info(); q.Foreign != uint64(len(foreign)) {
		t.Errorf("%d foreign completions counted, want %d", q.Foreign, len(foreign))
	}
	k.CompleteHeld(-1, xdptest.Reverse, 0)
	for _, irp := range irps {
		mustSucceed(t, "held", await(t, irp))
	}
}

// TestLateCompletion holds a completion back until its chunk would be used again: an address of an earlier use of the chunk
// does not complete the operation that uses it now.
func TestLateCompletion(t *testing.T) {
	r := newRig(t, xdptest.Config{TxChunks: 1, TxRing: 2, Budget: -1})
	s := r.socket()
	to := r.warm(s)
	k := r.kernels.newest()
	k.Plan(k.Consumed(), xdptest.Twice) // the chunk's next use is completed twice; the second comes after it is used again
	irps := sendAll(s, to, 1)
	mustSucceed(t, "completed twice", await(t, irps[0]))
	k.HoldCompletions(true)
	irp := sendAll(s, to, 1)[0]
	testenv.Eventually(t, waitLimit, "held", func() bool { return k.Held() == 1 })
	if !k.PostCompletion(0 + 8*2) { // an earlier generation of chunk 0
		t.Fatal("no room")
	}
	testenv.Eventually(t, waitLimit, "the late completion to be seen", func() bool { return r.info().Foreign == 2 })
	if !pending(irp) {
		t.Error("an IRP was completed by an earlier use of its chunk")
	}
	k.CompleteHeld(-1, xdptest.InOrder, 0)
	mustSucceed(t, "the real completion", await(t, irp))
}

// TestLinkDownFake: the state machine of a link without a kernel: kicks answer ENETDOWN, then work again.
func TestLinkDownFake(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	k := r.kernels.newest()
	k.SetUp(false)
	irps := sendAll(s, to, 100) // more than chunks
	testenv.Eventually(t, waitLimit, "down", func() bool { return r.info().State == "down" })
	k.SetUp(true)
	r.queue().LinkUp()
	for _, irp := range irps {
		mustSucceed(t, "after the link is up", await(t, irp))
	}
}

// TestDeviceGoneFake: ENXIO before netlink says anything.
func TestDeviceGoneFake(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	k := r.kernels.newest()
	k.HoldCompletions(true)
	irps := sendAll(s, to, 10)
	k.Remove()
	irps = append(irps, sendAll(s, to, 1)...)
	for i, irp := range irps {
		if status := await(t, irp); status != wsk.STATUS_FILE_FORCED_CLOSED {
			t.Errorf("IRP %d: %v", i, status)
		}
	}
	if !k.Closed() {
		t.Error("the socket of a deleted device was not closed")
	}
}

// TestTransientErrnos: none of them is anybody's failure.
func TestTransientErrnos(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EAGAIN, syscall.ENOBUFS, syscall.EINTR, syscall.ENOMEM} {
		r := newRig(t, xdptest.Config{Budget: -1})
		s := r.socket()
		to := r.warm(s)
		r.kernels.newest().FailKicks(errno, errno, errno)
		mustSucceed(t, errno.Error(), sendOne(t, s, whole([]byte("x")), to, nil))
	}
}

// TestCompleteOutOfOrder completes a window in random order, again and again over the wrap of the ring cursors.
func TestCompleteOutOfOrder(t *testing.T) {
	r := newRig(t, xdptest.Config{Start: 0xffff_ff00, Budget: 7})
	s := r.socket()
	to := r.warm(s)
	k := r.kernels.newest()
	k.HoldCompletions(true)
	for round := range 40 {
		irps := sendAll(s, to, 150)
		for done := 0; done < len(irps); {
			testenv.Eventually(t, waitLimit, "held", func() bool { return k.Held() > 0 })
			done += k.CompleteHeld(-1, xdptest.Random, uint64(round))
		}
		for _, irp := range irps {
			mustSucceed(t, "out of order", await(t, irp))
		}
	}
}
