// SPDX-License-Identifier: Apache-2.0

package send

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// longRig is a rig on a link with an MTU of 9000, whose queue has frames of several small chunks. sent lists the payloads of the
// unfragmented datagrams that left, whose checksums were right.
func longRig(t *testing.T, config xdptest.Config) (r *rig, sent func() [][]byte) {
	t.Helper()
	var mu sync.Mutex
	var payloads [][]byte
	config.OnSend = func(frame []byte) {
		p, err := testenv.Decode(frame)
		if err != nil {
			t.Errorf("a frame of %d bytes: %v, %+v", len(frame), err, p)
			return
		}
		if p.UDP {
			mu.Lock()
			payloads = append(payloads, bytes.Clone(p.Payload))
			mu.Unlock()
		}
	}
	if config.FrameChunks == 0 {
		config.FrameChunks = 18
	}
	r = newRig(t, config)
	r.host.Routes = fakeRoutes{mtu: 9000}
	return r, func() [][]byte {
		mu.Lock()
		defer mu.Unlock()
		return payloads
	}
}

// numbered is a payload that is unlike those of other numbers.
func numbered(i, n int) []byte {
	b := make([]byte, n)
	for j := range b {
		b[j] = byte(j*7 + i*31 + j>>8)
	}
	return b
}

// TestLongFrames sends datagrams of all lengths, in one chunk and in several, through a kernel that takes a few descriptors at a time and
// so stops in the middle of frames, and with fewer chunks than would hold them all. They leave whole and in order.
//
// Invariant I1.
func TestLongFrames(t *testing.T) {
	sizes := []int{1, 8972, 1900, 1918, 1919, 5000, 18, 8972, 3800, 3850}
	for _, config := range []xdptest.Config{
		{Budget: -1, TxChunks: 512}, {Budget: 1, TxChunks: 512}, {Budget: 3, TxChunks: 8}, {Budget: 2, TxChunks: 6, LazyConsumer: true},
		{Budget: -1, TxChunks: 5, TxRing: 8}, {Budget: 7, TxChunks: 64, Start: 1<<32 - 9}, {Budget: -1, TxChunks: 64, ChunkSize: 4096},
	} {
		t.Run(fmt.Sprintf("%d chunks of %d, budget %d", config.TxChunks, config.ChunkSize, config.Budget), func(t *testing.T) {
			r, sent := longRig(t, config)
			s := r.socket()
			to := r.warm(s)
			var want [][]byte
			var irps []*wsk.IRP
			for i := range 60 {
				want = append(want, numbered(i, sizes[i%len(sizes)]))
				irps = append(irps, wsk.AllocateIRP())
				s.SendTo(whole(want[i]), 0, to, nil, irps[i])
			}
			awaitAll(t, irps, wsk.STATUS_SUCCESS)
			got := sent()[1:]
			if len(got) != len(want) {
				t.Fatalf("%d datagrams left, want %d", len(got), len(want))
			}
			for i := range want {
				if !bytes.Equal(got[i], want[i]) {
					t.Errorf("datagram %d of %d bytes left as %d others", i, len(want[i]), len(got[i]))
				}
			}
			if info := r.info(); info.Submitted != 61 || info.Completed != 61 || info.Foreign != 0 || info.InFlight != 0 {
				t.Errorf("%d frames submitted, %d completed, %d foreign, %d chunks under way: want 61, 61, 0, 0", info.Submitted, info.Completed,
					info.Foreign, info.InFlight)
			}
		})
	}
}

// TestLongFrameDropped: the device drops one frame of several chunks, whose operation alone fails.
func TestLongFrameDropped(t *testing.T) {
	r, _ := longRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	r.kernels.newest().Plan(2, xdptest.Drop)
	for i, want := range []wsk.NTSTATUS{wsk.STATUS_SUCCESS, wsk.STATUS_NETWORK_BUSY, wsk.STATUS_SUCCESS} {
		if got := sendOne(t, s, whole(numbered(i, 8972)), to, nil); got != want {
			t.Errorf("datagram %d: %v, want %v", i, got, want)
		}
	}
	if info := r.info(); info.Dropped != 1 || info.Unpinned != 0 {
		t.Errorf("%d dropped, %d not pinned: want 1 and 0", info.Dropped, info.Unpinned)
	}
}

// TestLongFrameInvalid: the kernel finds the first frame of several chunks invalid, which its kick does not tell. It does not pass for
// one that was sent.
func TestLongFrameInvalid(t *testing.T) {
	r, _ := longRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	r.kernels.newest().Plan(1, xdptest.Invalid)
	if got := sendOne(t, s, whole(numbered(0, 8972)), to, nil); got != wsk.STATUS_INTERNAL_ERROR {
		t.Errorf("%v, want STATUS_INTERNAL_ERROR", got)
	}
	mustSucceed(t, "the next", sendOne(t, s, whole(numbered(1, 8972)), to, nil))
}

// TestLongFramesRebuilt replaces the socket while the kernel has some frames of several chunks, one of them in part, and others wait: what
// was not consumed whole and not sent is told, the rest leaves by the new socket.
func TestLongFramesRebuilt(t *testing.T) {
	r, sent := longRig(t, xdptest.Config{Budget: -1, TxChunks: 64})
	s := r.socket()
	to := r.warm(s)
	k := r.kernels.newest()
	k.HoldCompletions(true)
	var irps []*wsk.IRP
	for i := range 30 {
		irps = append(irps, wsk.AllocateIRP())
		s.SendTo(whole(numbered(i, 8972)), 0, to, nil, irps[i])
	}
	testenv.Eventually(t, waitLimit, "as many frames with the kernel as there are chunks", func() bool { return k.Held() == 60 })
	q := r.queue()
	q.kickMu.Lock()
	q.breakDown("test", wsk.STATUS_IO_TIMEOUT)
	q.unlockKick()
	q.complete()
	lost := 0
	for _, irp := range irps {
		switch status := await(t, irp); status {
		case wsk.STATUS_IO_TIMEOUT:
			lost++
		case wsk.STATUS_SUCCESS:
		default:
			t.Errorf("%v", status)
		}
	}
	if lost != 12 {
		t.Errorf("%d operations were lost with the socket, want the 12 whose frames it had", lost)
	}
	if n := len(sent()); n != 1+30 {
		t.Errorf("%d datagrams left, want 31", n)
	}
}

// TestLongFrameNoMore: the socket that takes the place of another has no frames of several chunks. Who sends one is told.
func TestLongFrameNoMore(t *testing.T) {
	r, _ := longRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	mustSucceed(t, "long", sendOne(t, s, whole(numbered(0, 8972)), to, nil))
	q := r.queue()
	r.kernels.mu.Lock()
	r.kernels.config.FrameChunks = 1
	r.kernels.mu.Unlock()
	q.kickMu.Lock()
	q.breakDown("test", wsk.STATUS_IO_TIMEOUT)
	q.unlockKick()
	r.awaitState("up")
	if got := sendOne(t, s, whole(numbered(1, 8972)), to, nil); got != wsk.STATUS_NETWORK_UNREACHABLE {
		t.Errorf("%v, want STATUS_NETWORK_UNREACHABLE", got)
	}
	mustSucceed(t, "short", sendOne(t, s, whole(numbered(2, 18)), to, nil))
}

// TestLongFragments: the fragments of a datagram lie in several chunks, too.
func TestLongFragments(t *testing.T) {
	r, _ := longRig(t, xdptest.Config{Budget: 2, TxChunks: 7})
	s := r.socket()
	to := r.warm(s)
	for i := range 4 {
		mustSucceed(t, "fragmented", sendOne(t, s, whole(numbered(i, 40_000)), to, nil))
	}
	if info := r.info(); info.Submitted != 1+4*5 {
		t.Errorf("%d frames, want 21", info.Submitted)
	}
}
