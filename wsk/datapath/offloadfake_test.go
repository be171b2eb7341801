// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"bytes"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
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

func onlyQueue(dp *Datapath) (only *send.Queue) {
	dp.devices.EachQueue(func(q *send.Queue) { only = q })
	return only
}

// onlyHalf is the receiving half of the only queue.
func onlyHalf(dp *Datapath) (only *receive.Queue) {
	dp.devices.Each(func(d *device.Device) { only = d.Halves[0] })
	return only
}

// prove4 makes a queue believe that a proof for IPv4 has succeeded, whatever the real one said.
func prove4(t testing.TB, dp *Datapath) *send.Queue {
	t.Helper()
	q := onlyQueue(dp)
	testenv.Eventually(t, waitLimit, "the end of the real proof", func() bool {
		info := q.Prover.Info()
		return len(info) == 1 && (info[0].Why != nil || info[0].Proved)
	})
	if !q.Prover.Conclude(offload.Key{}, q.Offload, nil) {
		t.Fatal("the grant has changed")
	}
	q.Promote(offload.Key{}, q.Offload)
	return q
}

// TestMetadataRefused: the kernel answers EINVAL for ever to a frame with metadata in the middle of a burst, and completes it
// all the same. Every operation succeeds once and every datagram leaves once, the rest of them through a socket that asks
// for nothing. afxdp.md §5.2, row EINVAL; invariants I1, I4.
func TestMetadataRefused(t *testing.T) {
	const n, at = 20, 7
	var sent wire
	dp, kernels := newFakeDatapath(t, xdptest.Config{Offload: xdp.OffloadKernel, OnSend: sent.add}, Options{Checksum: ChecksumKernel})
	dp.senders.ProofWait = time.Millisecond
	c := newClient(t, dp)
	s := c.socket("0.0.0.0:0")
	to := warm(t, s)
	q := prove4(t, dp)
	kernels.mu.Lock()
	kernels.config.Offload = xdp.OffloadNone // of the next socket, as the device's options will say
	kernels.mu.Unlock()
	old := kernels.newest()
	old.Plan(old.Consumed()+at, xdptest.Wedge)
	before := q.Info().Offloaded
	for i, irp := range sendAll(s, to, n) {
		if status := await(t, irp); status != wsk.STATUS_SUCCESS {
			t.Errorf("datagram %d: %v", i, status)
		}
	}
	info := q.Info()
	if kernels.count() != 2 || info.Rebuilds != 1 {
		t.Errorf("%d sockets, %d rebuilds", kernels.count(), info.Rebuilds)
	}
	if o := q.Dev.(*device.Device).SocketOptions(0); o.Offload != xdp.OffloadNone {
		t.Errorf("the device still asks for %v", o.Offload)
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
	for name, strike := range map[string]func(*xdptest.Kernel, *send.Queue){
		"comes back": func(k *xdptest.Kernel, _ *send.Queue) { k.CompleteHeld(-1, xdptest.InOrder, 0) },
		"dropped":    func(k *xdptest.Kernel, q *send.Queue) { k.SetCarrier(false); q.Drive(); k.SetCarrier(true) },
		"link down":  func(k *xdptest.Kernel, q *send.Queue) { k.SetUp(false); q.Drive(); k.SetUp(true); q.LinkUp() },
		"rebuilt": func(_ *xdptest.Kernel, q *send.Queue) {
			q.KickMu.Lock()
			q.Breakdown("test", wsk.STATUS_IO_TIMEOUT)
			q.KickMu.Unlock()
		},
		"gone": func(_ *xdptest.Kernel, q *send.Queue) { q.Shutdown(wsk.STATUS_FILE_FORCED_CLOSED) },
	} {
		t.Run(name, func(t *testing.T) {
			dp, kernels := newFakeDatapath(t, xdptest.Config{Offload: xdp.OffloadKernel}, Options{Checksum: ChecksumKernel})
			dp.senders.ProofWait = time.Millisecond
			c := newClient(t, dp)
			s := c.socket("0.0.0.0:0")
			warm(t, s)
			carrierOn(dp)
			q := prove4(t, dp)
			k := kernels.newest()
			p := anyPath(dp)
			post := func() {
				if !q.SendProbe(&p.Template, []byte("probe"), p.Request, q.Offload) {
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
				q.Drive()
				i := q.Info()
				return i.State == "up" && i.InFlight == 0
			})
		})
	}
}

// anyPath is a path in use.
func anyPath(dp *Datapath) (found *send.Path) {
	for _, ep := range dp.endpoints.list() {
		ep.source.Flows.Each(func(f *send.Flow) {
			if p := f.Path.Load(); p != nil && p.Queue != nil {
				found = p
			}
		})
	}
	return found
}

// TestProver goes through the life of a verdict.
func TestProver(t *testing.T) {
	var v offload.Prover
	key := offload.Key{IPv6: true}
	if grant, proved, begin := v.Ask(key, true); grant != 0 || proved || begin {
		t.Error("something is granted before anything was")
	}
	copyMode := xdp.Granted{Mode: xdp.ModeCopy, Offload: xdp.OffloadKernel}
	first := v.Adopt(copyMode)
	if first == 0 {
		t.Fatal("no grant")
	}
	if _, proved, begin := v.Ask(key, false); proved || begin {
		t.Error("a destination that can't answer begins a proof")
	}
	if _, proved, begin := v.Ask(key, true); proved || !begin {
		t.Error("no proof begins")
	}
	if _, _, begin := v.Ask(key, true); begin {
		t.Error("two proofs at once")
	}
	if !v.Conclude(key, first, nil) {
		t.Error("the conclusion does not count")
	}
	if grant, proved, begin := v.Ask(key, true); grant != first || !proved || begin {
		t.Errorf("proved: %d %v %v", grant, proved, begin)
	}
	if _, proved, _ := v.Ask(offload.Key{}, false); proved {
		t.Error("the other family is proved too")
	}
	if v.Adopt(copyMode) != first {
		t.Error("a new socket with the same grant must prove again")
	}
	second := v.Adopt(xdp.Granted{Mode: xdp.ModeZeroCopy, Offload: xdp.OffloadDriver})
	if second == 0 || second == first {
		t.Errorf("grants %d and %d", first, second)
	}
	if _, proved, begin := v.Ask(key, true); proved || !begin {
		t.Error("what copy mode proved counts for zero-copy")
	}
	if v.Conclude(key, first, nil) {
		t.Error("a conclusion about the last grant counts")
	}
	for range 2 * offload.Tries { // a link that is down uses up no tries
		v.Conclude(key, second, offload.ErrProbe)
		if _, _, begin := v.Ask(key, true); !begin {
			t.Fatal("no further try after one that asked nobody")
		}
	}
	if !v.Conclude(key, second, &offload.RefutedError{}) {
		t.Error("the conclusion does not count")
	}
	if _, proved, begin := v.Ask(key, true); proved || begin {
		t.Error("what is refuted is tried again")
	}
	if v.Adopt(xdp.Granted{}) != 0 || v.Info() != nil {
		t.Error("nothing is granted, and still something is known")
	}
}

// TestProofPayload: the value that a field is preset with must not pass for the checksum.
func TestProofPayload(t *testing.T) {
	template, err := frame.NewTemplate(frame.Flow{SrcMAC: frame.MAC{2, 1}, DstMAC: frame.MAC{2, 2},
		Src: netip.MustParseAddrPort("10.0.0.1:50000"), Dst: netip.MustParseAddrPort("10.0.0.2:33434"), TTL: offload.ProofTTL})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range offload.ProofLengths {
		payload, want := offload.ProofPayload(&template, n)
		b := make([]byte, template.HeaderLen()+n)
		copy(b[template.HeaderLen():], payload)
		template.PutHeadersPartial(b, n, 0)
		if preset := frame.UDP(b[template.HeaderLen()-frame.UDPLen:]).Checksum(); len(payload) != n || preset == want {
			t.Errorf("%d bytes: preset %#x, checksum %#x", len(payload), preset, want)
		}
		var sum frame.Sum
		sum.Add(payload)
		template.PutHeaders(b, n, 0, sum)
		if p, err := testenv.Decode(b); err != nil || p.UDPChecksum != want {
			t.Errorf("decoded %#x, %v, want %#x", p.UDPChecksum, err, want)
		}
	}
}

// TestOffloadAllocatesNothing is TestSendAllocatesNothing with the checksums left to the other side, segments included.
func TestOffloadAllocatesNothing(t *testing.T) {
	kernels := &fakeKernels{config: xdptest.Config{TxChunks: 512, Budget: -1, Offload: xdp.OffloadDriver}}
	c := benchSocketOver(t, 1, 1, kernels.open)
	prove4(t, c.dp)
	to := wsk.NewSockaddr(netip.MustParseAddrPort(fakeTo))
	for _, size := range []int{0, 18, 1472} {
		p := newPump(c.sockets[0], size, to, 4)
		before := offloaded(c.dp)
		if n := testing.AllocsPerRun(1000, p.send); n != 0 {
			t.Errorf("%d bytes: %v allocations per datagram", size, n)
		}
		p.drain()
		if did := offloaded(c.dp) - before; did != 1001 {
			t.Errorf("%d bytes: %d of 1001 checksums left to the other side", size, did)
		}
	}
	control := wsk.AppendSendMsgSize(nil, 100)
	irp, buf := new(pumpIRP), mdl(pattern(5000), 333, 1234)
	if n := testing.AllocsPerRun(100, func() {
		irp.ready(pumpRoutine)
		c.sockets[0].SendTo(buf, 0, to, control, &irp.IRP)
	}); n != 0 {
		t.Errorf("segments: %v allocations per send", n)
	}
	testenv.Eventually(t, waitLimit, "the last one to come back", func() bool { return !irp.busy() })
}
