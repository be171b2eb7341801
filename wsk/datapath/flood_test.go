// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// flooded is n by the factor FLOOD: 1 unless set, 16 in make soak, less where the processor is emulated.
func flooded(t *testing.T, n int) int {
	t.Helper()
	text := os.Getenv("FLOOD")
	if text == "" {
		return n
	}
	scale, err := strconv.ParseFloat(text, 64)
	if err != nil || !(scale >= 0.01 && scale <= 1e4) {
		t.Fatalf("FLOOD=%q: want a factor from 0.01 to 10000", text)
	}
	return int(float64(n) * scale)
}

// flood sends n numbered datagrams to each address at a rate that the receiver can follow: never more than one window and a half
// ahead. All addresses together should keep below the 256 frames that a veth holds (VETH_RING_SIZE): where its NAPI has to wait for the
// processor, it drops the rest.
func flood(t *testing.T, lab *testenv.Lab, to []netip.AddrPort, n, window int, arrived func(i int) int) {
	t.Helper()
	senders := make([]*testenv.UDPSender, len(to))
	for i, a := range to {
		source := netip.MustParseAddrPort("0.0.0.0:0")
		if a.Addr().Is6() {
			source = netip.MustParseAddrPort("[::]:0")
		}
		senders[i] = testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Source: source})
	}
	payload := make([]byte, 18)
	for k := range n {
		binary.BigEndian.PutUint32(payload, uint32(k))
		for i, s := range senders {
			if err := s.Send(to[i], payload); err != nil {
				t.Fatal(err)
			}
		}
		if k%window == window-1 {
			eventually(t, "the receiver to follow", func() bool {
				for i := range to {
					if arrived(i) < k+1-window/2 {
						return false
					}
				}
				return true
			})
		}
	}
}

// TestReceiveInOrder: 100,000 datagrams over four flows and both families, none lost, each flow in order, none through the kernel.
func TestReceiveInOrder(t *testing.T) {
	each := flooded(t, 25_000)
	lab, dp := receiveLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{})
	ports := []*port{bind(t, dp, "10.77.0.1:7900"), bind(t, dp, "0.0.0.0:7901"), bind(t, dp, "[fd77::1]:7902"), bind(t, dp, "[::]:7903")}
	to := []netip.AddrPort{ports[0].addr(), netip.MustParseAddrPort("10.77.0.1:7901"), ports[2].addr(), netip.MustParseAddrPort("[fd77::1]:7903")}
	counts := make([]atomic.Int64, len(ports))
	for i, p := range ports {
		p.setHook(func(list *wsk.Datagram) {
			for list != nil {
				next := list.Next
				if got, want := binary.BigEndian.Uint32(list.Payload), uint32(counts[i].Load()); got != want {
					t.Errorf("flow %d: number %d, want %d", i, got, want)
				}
				counts[i].Add(1)
				list.Release()
				list = next
			}
		})
	}
	before := programCounters(dp)
	flood(t, lab, to, each, 32, func(i int) int { return int(counts[i].Load()) })
	for i := range counts {
		eventually(t, "all", func() bool { return counts[i].Load() == int64(each) })
	}
	info := dp.Info()
	if r := info.Queues[0].Receive; r.Delivered != uint64(len(to)*each) || r.Kernel.RxDropped+r.Kernel.RxFillRingEmpty+r.Kernel.RxRingFull != 0 {
		t.Errorf("%d delivered, kernel %+v", r.Delivered, r.Kernel)
	}
	if n := programCounters(dp).Sub(before)[bpf.ReasonRedirected]; n != uint64(len(to)*each) {
		t.Errorf("%d redirected", n)
	}
	if info.CompanionReceived != 0 {
		t.Errorf("%d came through the kernel", info.CompanionReceived)
	}
}

// TestReceiveAllocations: a datagram costs no allocation, neither from the ring nor from a companion socket.
func TestReceiveAllocations(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{})
	var count atomic.Int64
	hook := func(list *wsk.Datagram) {
		for list != nil {
			next := list.Next
			count.Add(1)
			list.Release()
			list = next
		}
	}
	for _, tc := range []struct {
		local string
		ns    *testenv.Namespace
	}{{"10.77.0.1:7910", lab.B.NS}, {"127.0.0.1:7911", lab.A.NS}} {
		p := bind(t, dp, tc.local)
		p.setHook(hook)
		sender := testenv.NewUDPSenderT(t, tc.ns, testenv.UDPSenderOptions{})
		sa := p.addr()
		payload := pattern(18)
		perRun := testing.AllocsPerRun(20, func() {
			want := count.Load() + 100
			for range 100 {
				if err := sender.Send(sa, payload); err != nil {
					t.Fatal(err)
				}
			}
			for count.Load() < want {
			}
		})
		// The sender's own address costs one; the receiver nothing, but a garbage collection may empty a pool.
		if perRun > 110 && !raceEnabled {
			t.Errorf("%s: %.2f allocations for each datagram, sender included", tc.local, perRun/100)
		}
		t.Logf("%s: %.2f allocations for each datagram, sender included", tc.local, perRun/100)
	}
}
