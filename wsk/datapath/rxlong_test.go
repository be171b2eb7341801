// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// longPattern is a payload that tells its number, and of which no two pieces of a chunk's size are the same.
func longPattern(number uint32, n int) []byte {
	b := make([]byte, max(n, 4))
	r := rand.New(rand.NewPCG(uint64(number), 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	binary.BigEndian.PutUint32(b, number)
	return b
}

// TestReceiveMixedLengths: the datagrams of a flow arrive in the order in which they were sent, be they short or so long that no chunk
// holds them, and all of them through AF_XDP.
func TestReceiveMixedLengths(t *testing.T) {
	requireMultiBuffer(t)
	for _, c := range []struct {
		mode     bpf.Mode
		mtu      int
		chunk    uint32
		offloads bool
	}{{bpf.Native, 9000, 0, false}, {bpf.Native, 9000, 2048, true}, {bpf.Generic, 9000, 0, true}, {bpf.Native, 1900, 2048, false}} {
		t.Run(fmt.Sprintf("%v, mtu %d, chunks of %d, offloads %v", c.mode, c.mtu, c.chunk, c.offloads), func(t *testing.T) {
			lab, dp := receiveLab(t, testenv.Topology{MTU: c.mtu, Offloads: c.offloads, Neighbours: testenv.Static},
				Options{ReceiveMode: c.mode, ReceiveTagsUnseen: true, Socket: xdp.Options{ChunkSize: c.chunk}})
			for _, at := range []struct{ bind, from string }{
				{"10.77.0.1:7100", "10.77.0.2:7200"}, {"[fd77::1]:7102", "[fd77::2]:7202"},
			} {
				to, from := netip.MustParseAddrPort(at.bind), netip.MustParseAddrPort(at.from)
				mixedLengths(t, bind(t, dp, at.bind), testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Source: from}), to, c.mtu)
			}
			if n := programCounters(dp)[bpf.ReasonTooLong]; n > 0 {
				t.Errorf("%d frames were left to the kernel for their length", n)
			}
		})
	}
}

// mixedLengths sends bursts of datagrams of all lengths that fit a packet.
func mixedLengths(t *testing.T, p *port, sender *testenv.UDPSender, to netip.AddrPort, mtu int) {
	t.Helper()
	const bursts, burst = 20, 64
	headers := 28
	if to.Addr().Is6() {
		headers = 48
	}
	r := rand.New(rand.NewPCG(12, uint64(mtu)))
	number := uint32(0)
	for range bursts {
		var want [][]byte
		for range burst {
			n := 4 + r.IntN(mtu-headers-4+1)
			if r.IntN(2) == 0 {
				n = 4 + r.IntN(100)
			}
			want = append(want, longPattern(number, n))
			number++
		}
		for _, b := range want {
			if err := sender.Send(to, b); err != nil {
				t.Fatal(err)
			}
		}
		for i, d := range p.wait(burst) {
			if !bytes.Equal(d.Payload, want[i]) {
				t.Fatalf("to %v: datagram %d of %d bytes, want %d of %d", to, binary.BigEndian.Uint32(d.Payload), len(d.Payload),
					binary.BigEndian.Uint32(want[i]), len(want[i]))
			}
		}
	}
}

// TestLongFramesHeld: a client that gives nothing back gets long and short datagrams all the same, in order, with as few chunks as the
// program's choice of what to redirect allows for.
func TestLongFramesHeld(t *testing.T) {
	requireMultiBuffer(t)
	const n = 300
	lab, dp := receiveLab(t, testenv.Topology{MTU: 9000, Neighbours: testenv.Static}, Options{Socket: xdp.Options{RxChunks: 24}})
	p := bind(t, dp, "10.77.0.1:7810")
	h := new(hoard)
	p.setHook(h.take)
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	size := func(i int) int { return []int{20, 8900, 4500}[i%3] }
	for i := range n {
		if err := sender.Send(p.addr(), longPattern(uint32(i), size(i))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the datagram to arrive", func() bool { return h.count() == i+1 })
	}
	for i, d := range h.kept {
		if !bytes.Equal(d.Payload, longPattern(uint32(i), size(i))) {
			t.Fatalf("datagram %d has changed", i)
		}
	}
	if r := received(t, dp); r.Several != 2*n/3 || r.Delivered != n || r.Kernel.RxDropped+r.Kernel.RxFillRingEmpty != 0 {
		t.Errorf("%+v", r)
	}
	h.release()
	if r := received(t, dp); r.Lent != 0 || r.Free != 24 {
		t.Errorf("after the release: %d lent, %d free", r.Lent, r.Free)
	}
}
