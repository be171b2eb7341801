// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// conclusion waits until the proof for a family has ended one way or the other.
func conclusion(t *testing.T, dp *Datapath, six bool) OffloadInfo {
	t.Helper()
	var got OffloadInfo
	testenv.Eventually(t, waitLimit, "the end of the proof", func() bool {
		for _, o := range dp.Info().Queues[0].Offload {
			if o.IPv6 == six && o.Tags == 0 && (o.Proved || o.Why != nil) {
				got = o
				return true
			}
		}
		return false
	})
	if got.Proved {
		testenv.Eventually(t, waitLimit, "a path that uses it", func() bool {
			uses := false
			for _, ep := range dp.endpoints.list() {
				uses = uses || send.UsesOffload(&ep.source, six)
			}
			return uses
		})
	}
	return got
}

func offloaded(dp *Datapath) uint64 { return dp.Info().Queues[0].Offloaded }

// TestChecksumByKernel: after the proof, checksums come from the kernel for every size and cut, and are right for the kernel's
// UDP at the far end and for a decoder that shares nothing with package frame. Fragments keep the sum of this side.
func TestChecksumByKernel(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{Checksum: ChecksumKernel, Socket: xdp.Options{Mode: xdp.ModeCopy}})
	// A device that takes partial checksums: without XDP_UMEM_TX_SW_CSUM they would cross the pair as they are.
	if err := lab.A.If.SetFeature("tx-checksum-ip-generic", true); err != nil {
		t.Fatal(err)
	}
	for _, family := range []struct {
		from, to netip.Addr
		most     int
	}{{lab.A.IPv4(), lab.B.IPv4(), wsk.MaxPayload4}, {lab.A.IPv6(), lab.B.IPv6(), wsk.MaxPayload6}} {
		s := c.socket(netip.AddrPortFrom(family.from, 0).String())
		to := sockaddr(family.to, 7101)
		mustSucceed(t, "first", sendOne(t, s, whole([]byte("first")), to, nil))
		if !granted(t, c.dp) {
			return
		}
		if got := conclusion(t, c.dp, family.to.Is6()); !got.Proved {
			t.Fatalf("%v: %v", family.to, got.Why)
		}
		for _, n := range []int{0, 1, 2, 3, 17, 18, 63, 64, 65, 1451, 1452, 1453, 1472, 1473, 4000} {
			t.Run(fmt.Sprintf("%v/%d", family.to, n), func(t *testing.T) {
				receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(family.to, 7101), testenv.UDPReceiverOptions{})
				capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
				payload, before := pattern(n), offloaded(c.dp)
				mustSucceed(t, "SendTo", sendOne(t, s, mdl(payload, 1, 2, 9, 700, 1471), to, nil))
				got, err := receiver.Wait(testenv.Context(t, waitLimit), 1)
				if err != nil || !bytes.Equal(got[0].Payload, payload) {
					t.Errorf("received %d datagrams, %v", len(got), err)
				}
				checkCapture(t, capture, payload)
				want := uint64(1)
				if n > 1472 || n > 1452 && family.to.Is6() {
					want = 0
				}
				if did := offloaded(c.dp) - before; did != want {
					t.Errorf("%d checksums left to the kernel, want %d", did, want)
				}
			})
		}
		t.Run(fmt.Sprintf("%v/segments", family.to), func(t *testing.T) { segmentsByKernel(t, c, lab, s, family.to) })
	}
}

// segmentsByKernel sends one buffer as datagrams of 100 bytes and a shorter one.
func segmentsByKernel(t *testing.T, c *client, lab *testenv.Lab, s *wsk.Socket, to netip.Addr) {
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(to, 7102), testenv.UDPReceiverOptions{})
	capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
	payload, before := pattern(1033), offloaded(c.dp)
	control := wsk.AppendSendMsgSize(nil, 100)
	mustSucceed(t, "SendTo", sendOne(t, s, mdl(payload, 99, 101, 555), sockaddr(to, 7102), control))
	got, err := receiver.Wait(testenv.Context(t, waitLimit), 11)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, d := range got {
		all = append(all, d.Payload...)
	}
	if !bytes.Equal(all, payload) {
		t.Error("the segments do not make up the payload")
	}
	frames, err := capture.WaitN(testenv.Context(t, waitLimit), 11, func(f testenv.Frame) bool {
		p, err := testenv.Decode(f.Data)
		if err != nil {
			t.Error(err)
		}
		return p != nil && p.DestinationPort == 7102
	})
	if err != nil || len(frames) != 11 {
		t.Errorf("%d frames captured, %v", len(frames), err)
	}
	if did := offloaded(c.dp) - before; did != 11 {
		t.Errorf("%d checksums left to the kernel, want 11", did)
	}
}

// TestChecksumZero: a sum that comes out as 0 is sent as 0xffff by the kernel too, and a flow that wants no checksum has none.
func TestChecksumZero(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{Checksum: ChecksumKernel, Socket: xdp.Options{Mode: xdp.ModeCopy}})
	for _, to := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
		s := c.socket(netip.AddrPortFrom(map[bool]netip.Addr{false: lab.A.IPv4(), true: lab.A.IPv6()}[to.Is6()], 0).String())
		dst := sockaddr(to, 7103)
		capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
		mustSucceed(t, "first", sendOne(t, s, whole([]byte{0, 0}), dst, nil))
		if !granted(t, c.dp) {
			return
		}
		if got := conclusion(t, c.dp, to.Is6()); !got.Proved {
			t.Fatal(got.Why)
		}
		// The checksum of two zero bytes, put into them, makes the sum come out as zero.
		check := captured(t, capture, 7103).UDPChecksum
		capture.Reset()
		mustSucceed(t, "crafted", sendOne(t, s, whole([]byte{byte(check >> 8), byte(check)}), dst, nil))
		if got := captured(t, capture, 7103).UDPChecksum; got != 0xffff {
			t.Errorf("%v: checksum %#x, want 0xffff", to, got)
		}
		if to.Is6() {
			continue
		}
		option(t, s, wsk.IPPROTO_UDP, wsk.UDP_NOCHECKSUM, uint32(1))
		capture.Reset()
		before := offloaded(c.dp)
		mustSucceed(t, "none", sendOne(t, s, whole([]byte("no checksum")), dst, nil))
		if got := captured(t, capture, 7103).UDPChecksum; got != 0 || offloaded(c.dp) != before {
			t.Errorf("checksum %#x of a flow without, offloaded %v", got, offloaded(c.dp) != before)
		}
	}
}

// captured is the first UDP datagram to a port.
func captured(t *testing.T, capture *testenv.Capture, port uint16) *testenv.Packet {
	t.Helper()
	var found *testenv.Packet
	if _, err := capture.Wait(testenv.Context(t, waitLimit), func(f testenv.Frame) bool {
		p, err := testenv.Decode(f.Data)
		if p == nil || !p.UDP || p.DestinationPort != port {
			return false
		}
		if err != nil {
			t.Error(err)
		}
		found = p
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestPartialChecksum: a veth pair hands unfinished frames on, which its peer's stack would accept and nobody else. The proof
// sees that and refuses, unless the device says that it can't complete them, so that the kernel does.
func TestPartialChecksum(t *testing.T) {
	for _, hardware := range []bool{true, false} {
		t.Run(fmt.Sprintf("tx-checksumming=%v", hardware), func(t *testing.T) {
			lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static},
				Options{Checksum: ChecksumPartial, Socket: xdp.Options{Mode: xdp.ModeCopy}})
			if err := lab.A.If.SetFeature("tx-checksum-ip-generic", hardware); err != nil {
				t.Fatal(err)
			}
			for _, to := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
				s := c.socket(netip.AddrPortFrom(map[bool]netip.Addr{false: lab.A.IPv4(), true: lab.A.IPv6()}[to.Is6()], 0).String())
				mustSucceed(t, "first", sendOne(t, s, whole([]byte("first")), sockaddr(to, 7104), nil))
				if !granted(t, c.dp) {
					return
				}
				got := conclusion(t, c.dp, to.Is6())
				var refuted *offload.RefutedError
				switch {
				case hardware && (got.Proved || !errors.As(got.Why, &refuted) || refuted.By != to):
					t.Errorf("%v: proved %v, %v; want it refuted by the peer", to, got.Proved, got.Why)
				case !hardware && !got.Proved:
					t.Errorf("%v: %v", to, got.Why)
				}
				before := offloaded(c.dp)
				capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
				for range 3 {
					mustSucceed(t, "SendTo", sendOne(t, s, whole(pattern(200)), sockaddr(to, 7104), nil))
				}
				frames, err := capture.WaitN(testenv.Context(t, waitLimit), 3, func(f testenv.Frame) bool {
					p, err := testenv.Decode(f.Data)
					if p != nil && p.UDP && p.DestinationPort == 7104 && (err != nil || f.PartialChecksum) {
						t.Errorf("partial %v, %v", f.PartialChecksum, err)
					}
					return p != nil && p.UDP && p.DestinationPort == 7104
				})
				if err != nil || len(frames) != 3 {
					t.Errorf("%d frames, %v", len(frames), err)
				}
				if used := offloaded(c.dp) != before; used == hardware {
					t.Errorf("offload used: %v", used)
				}
			}
		})
	}
}

// TestChecksumAuto: in copy mode nothing is granted, no probe is sent, and Info says why.
func TestChecksumAuto(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{})
	capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
	s := c.socket("10.77.0.1:0")
	mustSucceed(t, "SendTo", sendOne(t, s, whole([]byte("x")), sockaddr(lab.B.IPv4(), 7105), nil))
	q := c.dp.Info().Queues[0]
	if q.Granted.Offload != xdp.OffloadNone || q.Granted.OffloadRefused == nil || q.Offload != nil || q.Offloaded != 0 {
		t.Errorf("granted %v, refused because %v, %+v, %d offloaded", q.Granted.Offload, q.Granted.OffloadRefused, q.Offload, q.Offloaded)
	}
	captured(t, capture, 7105)
	for _, f := range capture.Frames() {
		if p, _ := testenv.Decode(f.Data); p != nil && p.DestinationPort == offload.ProofPort {
			t.Error("a probe was sent")
		}
	}
}

// TestNoProof: a destination that says nothing proves nothing, datagrams leave with sums of this side, and not more than a
// few destinations are asked.
func TestNoProof(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{Checksum: ChecksumKernel, Socket: xdp.Options{Mode: xdp.ModeCopy}})
	c.dp.senders.ProofWait = 20 * time.Millisecond
	s := c.socket("10.77.0.1:0")
	capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
	for i := range offload.Tries + 2 {
		dst := netip.AddrFrom4([4]byte{10, 77, 0, byte(100 + i)}) // nobody's address, with B's link-layer address
		if err := lab.A.If.SetNeighbour(dst, lab.B.If.MAC()); err != nil {
			t.Fatal(err)
		}
		mustSucceed(t, "SendTo", sendOne(t, s, whole([]byte("x")), sockaddr(dst, 7106), nil))
		if !granted(t, c.dp) {
			return
		}
		if got := conclusion(t, c.dp, false); got.Proved || !errors.Is(got.Why, offload.ErrNoQuote) {
			t.Errorf("%v: proved %v, %v", dst, got.Proved, got.Why)
		}
	}
	asked := map[netip.Addr]bool{}
	for _, f := range capture.Frames() {
		p, err := testenv.Decode(f.Data)
		if err != nil {
			t.Error(err)
		}
		if p.UDP && p.DestinationPort == offload.ProofPort {
			asked[p.Destination] = true
			if p.TTL != offload.ProofTTL {
				t.Errorf("a probe with TTL %d", p.TTL)
			}
		}
	}
	if len(asked) != offload.Tries {
		t.Errorf("%d destinations were asked, want %d", len(asked), offload.Tries)
	}
}

// granted reports whether the kernel has TX metadata, after the first datagram. One that has not must have said so, and is
// served as ever.
func granted(t *testing.T, dp *Datapath) bool {
	t.Helper()
	q := dp.Info().Queues[0]
	if q.Granted.Offload != xdp.OffloadNone {
		return true
	}
	if !errors.Is(q.Granted.OffloadRefused, xdp.ErrNotSupported) || xdp.ProbeTxMetadata() == nil || q.Offload != nil {
		t.Fatalf("nothing is granted: %v", q.Granted.OffloadRefused)
	}
	t.Logf("the rest does not apply: %v", q.Granted.OffloadRefused)
	return false
}

// TestProofOfEachQueue: every queue has a proof of its own, although the peer answers only so many probes a second.
func TestProofOfEachQueue(t *testing.T) {
	const queues = 8
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static, A: testenv.End{TX: queues}},
		Options{Checksum: ChecksumKernel, Queues: queues, Socket: xdp.Options{Mode: xdp.ModeCopy, TxChunks: 64, TxRing: 128}})
	// Half of the kernel's default, which laboratories lift, and half the time that a proof has.
	c.dp.senders.ProofWait = offload.Wait / 2
	if err := lab.B.NS.Sysctl("ipv4/icmp_ratelimit", "500"); err != nil {
		t.Fatal(err)
	}
	for range queues {
		s := c.socket("10.77.0.1:0")
		mustSucceed(t, "first", sendOne(t, s, whole([]byte("first")), sockaddr(lab.B.IPv4(), 7107), nil))
	}
	if !granted(t, c.dp) {
		return
	}
	testenv.Eventually(t, waitLimit, "proofs of all queues", func() bool {
		proved := 0
		for _, q := range c.dp.Info().Queues {
			for _, o := range q.Offload {
				if o.Why != nil {
					t.Fatalf("queue %d: %v", q.Queue, o.Why)
				}
				if o.Proved {
					proved++
				}
			}
		}
		return proved == queues
	})
}

// TestMetadataRefusedByKernel is TestMetadataRefused on the real thing: a request beyond the frame's end is refused for ever and,
// on Linux 6.18, completed with every kick. The queue goes on without metadata, and no datagram is lost or claimed twice.
func TestMetadataRefusedByKernel(t *testing.T) {
	const n = 100
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{Checksum: ChecksumKernel, Socket: xdp.Options{Mode: xdp.ModeCopy}})
	s := c.socket("10.77.0.1:0")
	to := sockaddr(lab.B.IPv4(), 7108)
	mustSucceed(t, "first", sendOne(t, s, whole([]byte("first")), to, nil))
	if !granted(t, c.dp) {
		return
	}
	if got := conclusion(t, c.dp, false); !got.Proved {
		t.Fatal(got.Why)
	}
	for _, ep := range c.dp.endpoints.list() {
		send.SpoilOffload(&ep.source, xdp.NewChecksumRequest(1500, 6))
	}
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), 7108), testenv.UDPReceiverOptions{})
	for i, irp := range sendAll(s, to, n) {
		if status := await(t, irp); status != wsk.STATUS_SUCCESS {
			t.Errorf("datagram %d: %v", i, status)
		}
	}
	got, err := receiver.Wait(testenv.Context(t, waitLimit), n)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range got {
		if len(d.Payload) != 1 || d.Payload[0] != byte(i) {
			t.Errorf("datagram %d is % x", i, d.Payload)
		}
	}
	if q := c.dp.Info().Queues[0]; q.Rebuilds != 1 || q.Granted.Offload != xdp.OffloadNone || q.Dropped != 0 {
		t.Errorf("%d rebuilds, %v granted, %d drops; want 1, none, 0", q.Rebuilds, q.Granted.Offload, q.Dropped)
	}
	if len(receiver.Datagrams()) != n {
		t.Errorf("%d datagrams arrived", len(receiver.Datagrams()))
	}
}
