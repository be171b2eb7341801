// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/account"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// What is taken is counted and goes no further; what is not whole, not for here, or for the kernel to judge passes and is not counted.
func TestVerdicts(t *testing.T) {
	payload := packet(stamp.Stamp{Run: 7}, 18)
	elsewhere4, elsewhere6 := netip.MustParseAddr("10.77.0.3"), netip.MustParseAddr("fd77::3")
	spoil := func(d datagram, at int, b ...byte) []byte {
		frame := d.bytes()
		copy(frame[at:], b)
		return frame
	}
	v4, v6 := datagram{payload: payload}, datagram{v6: true, payload: payload}
	wrong := Totals{BadChecksum: 1}
	one := Totals{Packets: 1, Bytes: 18}
	foreign := func(n uint64) Totals { return Totals{Packets: 1, Bytes: n, Foreign: 1} }
	long := func(n int) []byte { return datagram{payload: make([]byte, n)}.bytes() }
	// open leaves the checksum to a device, with the sum of the pseudo-header in its place.
	open := func(d datagram) []byte {
		frame := d.bytes()
		at := d.header()
		binary.BigEndian.PutUint16(frame[at+6:], sum(uint32(17+8+len(d.payload)), frame[at-map[bool]int{false: 8, true: 32}[d.v6]:at]))
		return frame
	}
	for _, c := range []struct {
		name    string
		frame   []byte
		verdict uint32
		want    Totals
	}{
		{"IPv4", v4.bytes(), drop, one},
		{"IPv6", v6.bytes(), drop, one},
		{"options", datagram{options: 12, payload: payload}.bytes(), drop, one},
		{"all options", datagram{options: 40, tags: []uint16{5}, payload: payload}.bytes(), drop, one},
		{"priority tag", datagram{tags: []uint16{3 << 13}, payload: payload}.bytes(), drop, one},
		{"our VLAN", datagram{v6: true, tags: []uint16{5}, payload: payload}.bytes(), drop, one},
		{"odd length", datagram{payload: payload[:17]}.bytes(), drop, foreign(17)},
		{"empty", datagram{v6: true}.bytes(), drop, foreign(0)},
		{"1472 bytes", long(1472), drop, foreign(1472)},
		{"as long as can be", long(3400), drop, foreign(3400)},
		{"no checksum", spoil(v4, v4.header()+6, 0, 0), drop, one},
		{"checksum left open", open(v4), drop, one},
		{"checksum left open, IPv6", open(v6), drop, one},
		{"bad checksum", spoil(v4, v4.header()+8+17, 0xee), drop, wrong},
		{"bad checksum, IPv6", spoil(v6, v6.header()+7, v6.bytes()[v6.header()+7]^1), drop, wrong},
		{"no checksum, IPv6", spoil(v6, v6.header()+6, 0, 0), drop, wrong},

		{"another port", spoil(v4, v4.header()+2, 1), pass, Totals{}},
		{"another address", datagram{to: elsewhere4, payload: payload}.bytes(), pass, Totals{}},
		{"another address, IPv6", datagram{v6: true, to: elsewhere6, payload: payload}.bytes(), pass, Totals{}},
		{"another MAC", spoil(v4, 5, 0xcc), pass, Totals{}},
		{"broadcast", spoil(v4, 0, 255, 255, 255, 255, 255, 255), pass, Totals{}},
		{"another VLAN", datagram{tags: []uint16{6}, payload: payload}.bytes(), pass, Totals{}},
		{"two tags", datagram{tags: []uint16{5, 5}, payload: payload}.bytes(), pass, Totals{}},
		{"fragment", spoil(v4, 20, 0x20), pass, Totals{}},
		{"last fragment", spoil(v4, 20, 0, 7), pass, Totals{}},
		{"TCP", spoil(v4, 23, 6), pass, Totals{}},
		{"bad IPv4 checksum", spoil(v4, 24, 0x55), pass, Totals{}},
		{"bad checksum of options", spoil(datagram{options: 4, payload: payload}, 14+20, 7), pass, Totals{}},
		{"short IPv4 header", spoil(v4, 14, 0x44), pass, Totals{}},
		{"version", spoil(v4, 14, 0x65), pass, Totals{}},
		{"extension header", spoil(v6, 20, 0), pass, Totals{}},
		{"fragment, IPv6", spoil(v6, 20, 44), pass, Totals{}},
		{"UDP length", spoil(v4, v4.header()+5, 27), pass, Totals{}},
		{"UDP length, IPv6", spoil(v6, v6.header()+5, 7), pass, Totals{}},
		{"IPv6 length", spoil(v6, 18, 1), pass, Totals{}},
		{"cut", v6.bytes()[:v6.header()+8+17], pass, Totals{}},
		{"cut in a header", v4.bytes()[:40], pass, Totals{}},
		{"ARP", spoil(v4, 12, 8, 6), pass, Totals{}},
	} {
		r := newRig(t, Options{Window: 64, Stamps: true, windows: 16}, Interface{VLANs: []uint16{5, 64}})
		if got := r.run(c.frame); got != c.verdict || r.Totals() != c.want {
			t.Errorf("%s: verdict %d, %+v; want %d, %+v", c.name, got, r.Totals(), c.verdict, c.want)
		}
	}
	// Where a frame may be several datagrams one whose checksum is left open is the kernel's.
	r := newRig(t, Options{Window: 64, Stamps: true, windows: 16}, Interface{Merged: true})
	if a, b := r.run(open(v4)), r.run(v4.bytes()); a != pass || b != drop || r.Totals() != one {
		t.Errorf("merged: verdicts %d, %d, %+v", a, b, r.Totals())
	}
	r = newRig(t, Options{Window: 64}, Interface{})
	r.run(v4.bytes())
	r.run(long(3))
	if got := r.Totals(); got != (Totals{Packets: 2, Bytes: 21}) || len(r.Found()) != 0 {
		t.Errorf("without stamps: %+v", got)
	}
}

// What is not as it was announced is corrupt, what bears no stamp is foreign, what warms up is neither, and runs that nobody has announced are found.
func TestClasses(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		r := newRig(t, Options{Window: 1 << 16, Stamps: true}, Interface{})
		send := func(payload []byte) {
			t.Helper()
			if v := r.run(datagram{v6: v6, payload: payload}.bytes()); v != drop {
				t.Fatalf("verdict %d", v)
			}
		}
		good := packet(stamp.Stamp{Run: 7}, 1000)
		run := r.Begin(7, Announced{Smallest: 20, Largest: 1000, Payload: good[18:]})
		send(good)
		for i, at := range []int{18, 500, 992, 999} {
			bad := packet(stamp.Stamp{Run: 7, Sequence: uint64(i + 1)}, 1000)
			bad[at] ^= 1
			send(bad)
		}
		send(packet(stamp.Stamp{Run: 7, Sequence: 5}, 19))
		send(packet(stamp.Stamp{Run: 7, Sequence: 6}, 1001))
		for i := range 9 {
			send(packet(stamp.Stamp{Run: 7, Sequence: uint64(7 + i)}, 21+i))
		}
		short := packet(stamp.Stamp{Run: 7, Sequence: 16}, 22)
		short[21] ^= 1
		send(short)
		send([]byte("no stamp at all, in so many bytes"))
		send(nil)
		bad := packet(stamp.Stamp{Run: 7}, 30)
		bad[4] = 0x80 // of a stream that can't be
		send(bad)
		send(packet(stamp.Stamp{Run: 8, Sequence: 3}, 18))
		before := packet(stamp.Stamp{}, 1000)
		stamp.PutWarmup(before, 7)
		send(before)
		send(before[:stamp.Size])
		send(before[:stamp.Size-1]) // of which nothing can be told
		if c := r.Totals(); c.Packets != 24 || c.Foreign != 4 || c.Warmup != 2 || c.BadChecksum != 0 {
			t.Errorf("%+v", c)
		}
		if got := run.Counts(); got != (account.Counts{Received: 10, Corrupt: 7, Numbers: 16, Lost: 6}) {
			t.Errorf("%+v", got)
		}
		if n, first, last := run.Progress(); n != 17 || first.After(last) || time.Since(first) > time.Minute {
			t.Errorf("%d from %v to %v", n, first, last)
		}
		found := r.Found()
		if len(found) != 1 || found[0].ID != 8 || len(r.Found()) != 0 {
			t.Fatalf("%+v", found)
		}
		if got := found[0].Counts(); got != (account.Counts{Received: 1, Numbers: 1, Before: 3}) {
			t.Errorf("%+v", got)
		}
	}
}

// There are so many slots and so many windows. What there is none for is counted, and what is given back can be had again.
func TestRoom(t *testing.T) {
	r := newRig(t, Options{Window: 1 << 16, Stamps: true, windows: 15}, Interface{})
	if runs, streams, _ := r.Room(); runs != Slots || streams != 15 {
		t.Fatalf("room for %d runs, %d streams", runs, streams)
	}
	for stream := range uint16(16) {
		r.give(stamp.Stamp{Run: 1, Stream: stream}, stamp.Stamp{Run: 1, Stream: stream, Sequence: 1})
	}
	first := r.Found()[0]
	if got := first.Counts(); got != (account.Counts{Received: 30, Refused: 2, Numbers: 30}) {
		t.Errorf("%+v", got)
	}
	if runs, streams, _ := r.Room(); runs != Slots-1 || streams != 0 {
		t.Errorf("room for %d runs, %d streams", runs, streams)
	}
	first.Release()
	for run := range uint16(Slots + 1) {
		r.give(stamp.Stamp{Run: 100 + run, Sequence: 5})
	}
	if got := r.Totals(); got.Foreign != 1 || r.Begin(7, Announced{}) != nil {
		t.Errorf("%+v", got)
	}
	found := r.Found()
	if len(found) != Slots {
		t.Errorf("%d runs", len(found))
	}
	for _, run := range found {
		run.Release()
	}
	if runs, streams, _ := r.Room(); runs != Slots || streams != 15 {
		t.Errorf("room for %d runs, %d streams", runs, streams)
	}
	again := r.Begin(1, Announced{Smallest: 18, Largest: 18})
	for stream := range uint16(15) {
		r.give(stamp.Stamp{Run: 1, Stream: stream})
	}
	if got := again.Counts(); got != (account.Counts{Received: 15, Numbers: 15}) {
		t.Errorf("what was there before counts: %+v", got)
	}
	// What comes late has so much room, and the rest is counted.
	again.End(make([]uint64, 1))
	again.Release()
	for range lateRoom + 3 {
		r.give(stamp.Stamp{Run: 1})
	}
	n := 0
	r.Late(func([]byte, int) { n++ })
	if got := r.Totals(); n != lateRoom || got.LateUnread != 3 {
		t.Errorf("%d, %+v", n, got)
	}
}

// Packets that begin a run in the moment in which it is announced are no part of it, and not lost sight of.
func TestBegunTwice(t *testing.T) {
	r := newRig(t, Options{Window: 64, Stamps: true, windows: 16}, Interface{})
	r.give(stamp.Stamp{Run: 7, Sequence: 3})
	run := r.Begin(7, Announced{Smallest: 18, Largest: 18})
	r.give(stamp.Stamp{Run: 7}, stamp.Stamp{Run: 7, Sequence: 1})
	if found := r.Found(); len(found) != 1 || found[0].Counts().Received != 1 || run.Counts().Received != 2 {
		t.Errorf("%+v, %+v", found, run.Counts())
	} else {
		found[0].Release()
	}
	r.give(stamp.Stamp{Run: 7, Sequence: 2})
	if got := run.Counts(); got != (account.Counts{Received: 3, Numbers: 3}) {
		t.Errorf("%+v", got)
	}
}

// Times are those from stamps, of what is received, in the buckets of the histogram of the other engines.
func TestTimes(t *testing.T) {
	r := newRig(t, Options{Window: 64, Stamps: true, windows: 16}, Interface{})
	run := r.Begin(7, Announced{Smallest: 18, Largest: 18, Timed: true})
	now := func() uint64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			t.Fatal(err)
		}
		return uint64(ts.Nano())
	}
	begun, age := now(), []uint64{0, 1000, 1 << 20, 1 << 30, uint64(90 * time.Second), uint64(200 * time.Second)}
	for n, a := range age {
		s := stamp.Stamp{Run: 7, Sequence: uint64(n), Time: (begun - a) & stamp.Mask}
		r.give(s, s) // the second is a duplicate, and has no time
	}
	r.give(stamp.Stamp{Run: 7, Sequence: 6, Time: (begun + 1<<40) & stamp.Mask})
	took := now() - begun
	h := hdr.New(1, int64(100*time.Second), 2)
	var got []int64
	run.Times(func(ns, n int64) {
		for range n {
			got = append(got, ns)
			if lowest := h.ValueAtPercentile(0); h.RecordValue(ns) != nil || lowest < 0 {
				t.Errorf("%d is no time", ns)
			}
		}
	})
	if len(got) != len(age)+1 || got[0] != 1 {
		t.Fatalf("%v", got)
	}
	for i, a := range age {
		low, high := min(a, uint64(100*time.Second)), min(a+took, uint64(100*time.Second))
		if ns := uint64(got[i+1]); ns > high || ns < low-low/128 {
			t.Errorf("%d ns are counted at %d", a, ns)
		}
	}
}

// Each place holds what a bucket of the histogram holds.
func TestPlaces(t *testing.T) {
	h := hdr.New(1, int64(100*time.Second), 2)
	for place := 1; place < 4096; place++ {
		ns := least(place)
		if ns > int64(100*time.Second) {
			break
		}
		if place > 1 && ns <= least(place-1) {
			t.Fatalf("place %d begins at %d, and the one before it at %d", place, ns, least(place-1))
		}
		h.Reset()
		if err := h.RecordValue(ns); err != nil || h.Min() != ns {
			t.Fatalf("place %d begins at %d, a bucket at %d: %v", place, ns, h.Min(), err)
		}
	}
}

// A kernel that does not know the instructions of the program is told from one that has no memory for it, and no other mode is tried there.
func TestRefused(t *testing.T) {
	old := refused(fmt.Errorf("load: %w", &ebpf.VerifierError{Cause: unix.EINVAL, Log: []string{"BPF_STX uses reserved fields"}}))
	if !errors.Is(old, ErrRefused) || fallsBack(old) || !strings.Contains(old.Error(), "Linux 5.12") || !strings.Contains(old.Error(), "reserved fields") {
		t.Error(old)
	}
	if err := refused(unix.ENOMEM); errors.Is(err, ErrRefused) {
		t.Error(err)
	}
}
