// SPDX-License-Identifier: Apache-2.0

package account

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// TestTraceNamesEachDrop: what goes to a port that nobody has is dropped, and the kernel tells of each datagram; what arrives is not told.
func TestTraceNamesEachDrop(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.XDPProgram)
	lab := testenv.NewLabT(t, testenv.Topology{Neighbours: testenv.Static})
	for _, to := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
		number := uint64(0x77aa_0000_0000_0001) + uint64(time.Now().UnixNano())<<8
		trace, err := NewTrace(number)
		if errors.Is(err, testenv.ErrNotSupported) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer trace.Close()
		before, err := ReadCounters(lab.B.NS)
		if err != nil {
			t.Fatal(err)
		}
		got, err := NewKernelReceiver(lab.B.NS, netip.AddrPortFrom(to, 7000), number, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		small := make([]*KernelSender, 2)
		for i, port := range []uint16{7000, 7001} { // nobody is at 7001
			small[i], err = NewKernelSender(lab.A.NS, netip.AddrPortFrom(to, port), Plan{Run: number, Flow: uint32(i), Size: 64, MaxSize: 1400})
			if err != nil {
				t.Fatal(err)
			}
			defer small[i].Close()
		}
		const n = 20
		small[0].Run(t.Context(), n)
		small[1].Run(t.Context(), n)
		testenv.Eventually(t, time.Minute, "the first flow", func() bool { return got.Count(0) == n })
		drops, complete, err := trace.Drops()
		if err != nil || !complete {
			t.Fatalf("complete %v, %v", complete, err)
		}
		after, err := ReadCounters(lab.B.NS)
		if err != nil {
			t.Fatal(err)
		}
		ev := Evidence{Drops: drops, Complete: complete, Counters: after.Since(before)}
		if v := Judge(small[0].Book, got.Arrivals, &ev); v.Arrived != n || v.Unexplained != 0 || v.Reordered != 0 {
			t.Errorf("%v: %+v", to, v)
		}
		v := Judge(small[1].Book, got.Arrivals, &ev)
		if v.Unexplained != 0 || v.ExplainedTotal() != v.OK || v.Explained["kernel: NO_SOCKET"] != v.OK || v.OK == 0 {
			t.Errorf("to nobody: %+v", v)
		}
		// Without the trace it is the counter that says so.
		ev = Evidence{Counters: after.Since(before)}
		if v := Judge(small[1].Book, got.Arrivals, &ev); v.Unexplained != 0 || !strings.Contains(Tally(v.Explained), "NoPorts") {
			t.Errorf("by counters: %+v; %v", v, ev)
		}
		if err := got.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestXDPReceiver(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	lab := testenv.NewLabT(t, testenv.Topology{Neighbours: testenv.Static})
	r, err := NewXDPReceiver(lab.B.If, run)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewKernelSender(lab.A.NS, netip.AddrPortFrom(lab.B.IPv4(), 7), Plan{Run: run, Flow: 9, Size: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Run(t.Context(), 50)
	testenv.Eventually(t, time.Minute, "50 frames", func() bool { r.Collect(); return r.Count(9) == 50 })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if v := Judge(s.Book, r.Arrivals, &Evidence{}); v.Unexplained != 0 || v.Arrived != 50 {
		t.Errorf("%+v", v)
	}
}

func TestParseCounters(t *testing.T) {
	got := Counters{}
	parseSNMP(strings.NewReader("Ip: InReceives InDiscards\nIp: 7 3\nUdp: InDatagrams NoPorts RcvbufErrors\nUdp: 5 2 18446744073709551615\n"+
		"UdpLite: NoPorts\nUdpLite: 9\n"), got)
	parseSNMP6(strings.NewReader("Ip6InDiscards \t 4\nUdp6RcvbufErrors\t6\nIp6OutRequests 8\nUdp6InErrors x\n"), got)
	parseSoftnet(strings.NewReader("00000001 0000000a 00\n00000001 00000001 00\n"), got)
	want := Counters{"Ip InDiscards": 3, "Udp NoPorts": 2, "Udp RcvbufErrors": 1<<64 - 1, "Ip6 InDiscards": 4, "Udp6 RcvbufErrors": 6,
		"softnet dropped": 11}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: %d, want %d", name, got[name], n)
		}
	}
	moved := Counters{"a": 5, "wsk0 rx_queue_0_drops": 2, "new": 1, "again": 1}.Since(Counters{"a": 5, "again": 9, "wsk0 rx_queue_0_drops": 1})
	if len(moved) != 3 || moved[0] != (Counter{"again", 1, true}) || moved[1] != (Counter{"new", 1, true}) ||
		moved[2] != (Counter{"wsk0 rx_queue_0_drops", 1, false}) {
		t.Errorf("%v", moved)
	}
}

func TestBytes(t *testing.T) {
	whole := []byte("0123456789")
	for cut := range len(whole) + 1 {
		tail := wsk.AllocateMDL(whole[cut:])
		head := wsk.AllocateMDL(whole[:cut])
		head.Next = tail
		for offset := range len(whole) {
			for length := range len(whole) - offset + 1 {
				got := Bytes(&wsk.Buf{Mdl: head, Offset: uint32(offset), Length: uintptr(length)})
				if !bytes.Equal(got, whole[offset:offset+length]) {
					t.Fatalf("cut %d, %d bytes from %d: %q", cut, length, offset, got)
				}
			}
		}
	}
}
