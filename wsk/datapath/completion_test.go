// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// TestCompletionRingCompletes holds back, at the far end, the frames that the kernel has been given: their IRPs stay
// pending. Released, they complete with success.
//
// Checklist item 31.
func TestCompletionRingCompletes(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static, NoIPv6: true}, Options{})
	hold := testenv.HoldReceiveT(t, lab.B.If, lab.A.If)
	s := c.socket("10.77.0.1:0")
	const n = 100
	irps := make([]*wsk.IRP, n)
	for i := range irps {
		irps[i] = wsk.AllocateIRP()
		if status := s.SendTo(whole(pattern(18)), 0, sockaddr(lab.B.IPv4(), 9), nil, irps[i]); status != wsk.STATUS_PENDING {
			t.Fatalf("SendTo: %v", status)
		}
	}
	// The far end may have the last frame before the datapath has counted it, and it may hold a frame of the kernel's own.
	testenv.Eventually(t, waitLimit, "all frames held at the far end", func() bool {
		held, err := hold.Held()
		return err == nil && held >= n && c.dp.Info().Queues[0].Submitted == n
	})
	if q := c.dp.Info().Queues[0]; q.InFlight != n || q.Completed != 0 {
		t.Errorf("with frames held: %+v", q)
	}
	for i, irp := range irps {
		if !pending(irp) {
			t.Fatalf("IRP %d completed with %v while its frame was held", i, irp.IoStatus.Status)
		}
		if irp.Cancel() {
			t.Fatalf("IRP %d was cancelled though its frame is with the kernel", i)
		}
	}
	if err := hold.Release(); err != nil {
		t.Fatal(err)
	}
	for _, irp := range irps {
		mustSucceed(t, "released IRP", await(t, irp))
	}
}

// TestMoreSendsThanChunks sends ten times more datagrams than there are chunks while nothing completes: none is refused, all
// complete, and they arrive in the order of the calls. Cancelled ones never leave.
//
// Checklist item 32.
func TestMoreSendsThanChunks(t *testing.T) {
	const chunks, n = 64, 640
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{Socket: xdp.Options{TxChunks: chunks, TxRing: 128}})
	hold := testenv.HoldReceiveT(t, lab.B.If, lab.A.If)
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), 7002), testenv.UDPReceiverOptions{})
	s := c.socket("10.77.0.1:0")
	var completed atomic.Uint64
	irps := make([]*wsk.IRP, n)
	for i := range irps {
		irps[i] = wsk.AllocateIRP()
		irps[i].SetCompletionRoutine(func(*wsk.IRP, any) wsk.NTSTATUS {
			completed.Add(1)
			return wsk.STATUS_MORE_PROCESSING_REQUIRED
		}, nil, true, true, true)
		payload := binary.BigEndian.AppendUint32(nil, uint32(i))
		if status := s.SendTo(whole(payload), 0, sockaddr(lab.B.IPv4(), 7002), nil, irps[i]); status != wsk.STATUS_PENDING {
			t.Fatalf("SendTo %d: %v", i, status)
		}
	}
	testenv.Eventually(t, waitLimit, "every chunk with the kernel", func() bool {
		q := c.dp.Info().Queues
		return len(q) == 1 && q[0].InFlight == chunks && q[0].Waiting == n-chunks && q[0].Free == 0
	})
	if completed.Load() != 0 {
		t.Errorf("%d IRPs completed while nothing came back", completed.Load())
	}
	cancelled := 0
	for i := n - 1; i >= 0; i -= 7 {
		if irps[i].Cancel() {
			cancelled++
			if status := await(t, irps[i]); status != wsk.STATUS_CANCELLED {
				t.Errorf("cancelled IRP %d: %v", i, status)
			}
		}
	}
	if cancelled < (n-chunks)/7 {
		t.Errorf("only %d waiting IRPs could be cancelled", cancelled)
	}
	if err := hold.Release(); err != nil {
		t.Fatal(err)
	}
	var succeeded int
	for i, irp := range irps {
		switch status := await(t, irp); {
		case status == wsk.STATUS_SUCCESS:
			succeeded++
		case status != wsk.STATUS_CANCELLED:
			t.Errorf("IRP %d: %v", i, status)
		}
	}
	if succeeded != n-cancelled || completed.Load() != n {
		t.Errorf("%d succeeded and %d routines ran, want %d and %d", succeeded, completed.Load(), n-cancelled, n)
	}
	got, err := receiver.Wait(testenv.Context(t, waitLimit), succeeded)
	if err != nil {
		t.Fatal(err)
	}
	for i, last := 0, int64(-1); i < len(got); i++ {
		seq := int64(binary.BigEndian.Uint32(got[i].Payload))
		if seq <= last {
			t.Fatalf("datagram %d arrived after %d", seq, last)
		}
		if irps[seq].IoStatus.Status != wsk.STATUS_SUCCESS {
			t.Errorf("datagram %d arrived although it was cancelled", seq)
		}
		last = seq
	}
}

// TestCaptureInCall overwrites everything small right after the call, while the datagram still waits for its neighbour:
// what leaves is what was there at the call.
//
// Checklist item 33.
func TestCaptureInCall(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{})
	if err := lab.B.If.Silence(); err != nil {
		t.Fatal(err)
	}
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), 7003), testenv.UDPReceiverOptions{})
	s := c.socket("0.0.0.0:0")
	buf := whole([]byte("payload"))
	to := sockaddr(lab.B.IPv4(), 7003)
	control := sendControl(lab.A.IPv4(), 0x28, 9)
	irp := wsk.AllocateIRP()
	if status := s.SendTo(buf, 0, to, control, irp); status != wsk.STATUS_PENDING {
		t.Fatal(status)
	}
	*buf = wsk.Buf{}
	clear(to)
	clear(control)
	if err := lab.B.If.Speak(); err != nil {
		t.Fatal(err)
	}
	mustSucceed(t, "SendTo", await(t, irp))
	got, err := receiver.Wait(testenv.Context(t, waitLimit), 1)
	if err != nil {
		t.Fatal(err)
	}
	if d := got[0]; string(d.Payload) != "payload" || d.TOS != 0x28 || d.TTL != 9 {
		t.Errorf("got %q TOS %#x TTL %d", d.Payload, d.TOS, d.TTL)
	}
}

// TestResendFromRoutine re-uses the IRP in its own completion routine, as a driver that keeps a link busy does. The first call
// runs a bounded number of the routines before it returns.
//
// Checklist item 17.
func TestResendFromRoutine(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{})
	s := c.socket("10.77.0.1:0")
	// The first datagram of a flow leaves from another goroutine, once there is a path.
	mustSucceed(t, "first", sendOne(t, s, whole(pattern(18)), sockaddr(lab.B.IPv4(), 9), nil))
	const n = 40_000
	var left, inCall atomic.Int64
	left.Store(n)
	runtime.LockOSThread() // what runs on this thread runs within the call
	defer runtime.UnlockOSThread()
	caller := unix.Gettid()
	done := make(chan struct{})
	buf, to := whole(pattern(18)), sockaddr(lab.B.IPv4(), 9)
	irp := wsk.AllocateIRP()
	var routine wsk.CompletionRoutine
	routine = func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
		if unix.Gettid() == caller {
			inCall.Add(1)
		}
		if irp.IoStatus.Status != wsk.STATUS_SUCCESS {
			t.Errorf("IRP ended with %v", irp.IoStatus.Status)
		}
		if left.Add(-1) <= 0 {
			close(done)
			return wsk.STATUS_MORE_PROCESSING_REQUIRED
		}
		irp.Reuse(wsk.STATUS_SUCCESS)
		irp.SetCompletionRoutine(routine, nil, true, true, true)
		s.SendTo(buf, 0, to, nil, irp)
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}
	irp.SetCompletionRoutine(routine, nil, true, true, true)
	s.SendTo(buf, 0, to, nil, irp)
	if n := inCall.Load(); n > ops.RoutineBudget {
		t.Errorf("the first SendTo ran %d completion routines before it returned, want at most %d", n, ops.RoutineBudget)
	}
	select {
	case <-done:
	case <-testenv.Context(t, 3*waitLimit).Done():
		t.Fatalf("%d sends are missing", left.Load())
	}
}
