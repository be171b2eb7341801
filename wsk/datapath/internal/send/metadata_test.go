// SPDX-License-Identifier: Apache-2.0

package send

import (
	"bytes"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// wire keeps what a fake sends.
type wire struct {
	mu     sync.Mutex
	frames [][]byte
}

func (w *wire) add(f []byte) {
	w.mu.Lock()
	w.frames = append(w.frames, bytes.Clone(f))
	w.mu.Unlock()
}

// datagrams are the payloads sent to a port; every checksum must be right.
func (w *wire) datagrams(t *testing.T, port uint16) (list [][]byte) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.frames {
		p, err := testenv.Decode(f)
		if err != nil {
			t.Errorf("frame: %v", err)
		}
		if p.UDP && p.DestinationPort == port {
			list = append(list, p.Payload)
		}
	}
	return list
}

// prove4 makes the queue believe that a proof for IPv4 has succeeded, whatever the real one said.
func prove4(r *rig) *Queue {
	r.t.Helper()
	q := r.queue()
	testenv.Eventually(r.t, waitLimit, "the end of the real proof", func() bool {
		info := q.prover.Info()
		return len(info) == 1 && (info[0].Why != nil || info[0].Proved)
	})
	if !q.prover.Conclude(offload.Key{}, q.tx.offload, nil) {
		r.t.Fatal("the grant has changed")
	}
	promote(q, offload.Key{}, q.tx.offload)
	return q
}

// TestMetadataRefused: the kernel answers EINVAL for ever to a frame with metadata in the middle of a burst, and completes it
// all the same. Every operation succeeds once and every datagram leaves once, the rest of them through a socket that asks
// for nothing. Invariants I1, I4.
func TestMetadataRefused(t *testing.T) {
	const n, at = 20, 7
	var sent wire
	r := newRig(t, xdptest.Config{Offload: xdp.OffloadKernel, OnSend: sent.add})
	s := r.socket()
	to := r.warm(s)
	q := prove4(r)
	r.kernels.mu.Lock()
	r.kernels.config.Offload = xdp.OffloadNone // of the next socket, as the device's options will say
	r.kernels.mu.Unlock()
	old := r.kernels.newest()
	old.Plan(old.Consumed()+at, xdptest.Wedge)
	before := q.Info().Offloaded
	for i, irp := range sendAll(s, to, n) {
		if status := await(t, irp); status != wsk.STATUS_SUCCESS {
			t.Errorf("datagram %d: %v", i, status)
		}
	}
	info := q.Info()
	if r.kernels.count() != 2 || info.Rebuilds != 1 {
		t.Errorf("%d sockets, %d rebuilds", r.kernels.count(), info.Rebuilds)
	}
	if !r.dev.noMetadata.Load() {
		t.Error("the device still asks for metadata")
	}
	if did := info.Offloaded - before; did < at || did > n {
		t.Errorf("%d checksums were left to the kernel, want %d to %d", did, at, n)
	}
	got := sent.datagrams(t, 9)[1:] // without the one of warm
	if len(got) != n {
		t.Fatalf("%d datagrams left, want %d", len(got), n)
	}
	for i, p := range got {
		if len(p) != 1 || p[0] != byte(i) {
			t.Errorf("datagram %d is % x", i, p)
		}
	}
	mustSucceed(t, "later", sendOne(t, s, whole([]byte("later")), to, nil))
	if after := q.Info(); after.Offloaded != info.Offloaded || after.Offload != nil {
		t.Errorf("the new socket still offloads: %+v", after)
	}
}

// TestProbeBelongsToNobody: the frame of a proof may be under way when its queue stops, breaks or goes; no list takes it up.
func TestProbeBelongsToNobody(t *testing.T) {
	for name, strike := range map[string]func(*xdptest.Kernel, *Queue){
		"comes back": func(k *xdptest.Kernel, _ *Queue) { k.CompleteHeld(-1, xdptest.InOrder, 0) },
		"dropped":    func(k *xdptest.Kernel, q *Queue) { k.SetCarrier(false); q.drive(); k.SetCarrier(true) },
		"link down":  func(k *xdptest.Kernel, q *Queue) { k.SetUp(false); q.drive(); k.SetUp(true); q.LinkUp() },
		"rebuilt": func(_ *xdptest.Kernel, q *Queue) {
			q.kickMu.Lock()
			q.breakDown("test", wsk.STATUS_IO_TIMEOUT)
			q.kickMu.Unlock()
		},
		"gone": func(_ *xdptest.Kernel, q *Queue) { q.Shutdown(wsk.STATUS_FILE_FORCED_CLOSED) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, xdptest.Config{Offload: xdp.OffloadKernel})
			s := r.socket()
			r.warm(s)
			q := prove4(r)
			k := r.kernels.newest()
			p := anyPath(r)
			post := func() {
				if !(&trial{q: q, request: p.request, grant: q.tx.offload}).send(&p.Template, []byte("probe")) {
					t.Fatal("no probe was sent")
				}
			}
			k.HoldCompletions(true)
			post()
			if name == "link down" || name == "dropped" {
				k.HoldCompletions(false)
				k.CompleteHeld(-1, xdptest.InOrder, 0)
				k.FailKicks(0) // the next one stays in the ring
				post()
			}
			strike(k, q)
			k.HoldCompletions(false)
			if name == "gone" {
				return
			}
			testenv.Eventually(t, waitLimit, "all chunks to come back", func() bool {
				q.drive()
				i := q.Info()
				return i.State == "up" && i.InFlight == 0
			})
		})
	}
}

// anyPath is a path in use.
func anyPath(r *rig) (found *Path) {
	for _, src := range r.host.Sources() {
		src.flows.each(func(f *Flow) {
			if p := f.path.Load(); p != nil && p.queue != nil {
				found = p
			}
		})
	}
	return found
}
