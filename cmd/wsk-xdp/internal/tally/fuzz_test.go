// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Whatever a frame is, it is taken and counted if another decoder finds a whole datagram to here in it, and else it passes and is not
// counted. What became of each that was taken adds up.
func FuzzFrame(f *testing.F) {
	payload := packet(stamp.Stamp{Run: 7, Sequence: 5}, 40)
	for _, d := range []datagram{{payload: payload}, {v6: true, payload: payload}, {tags: []uint16{5}, options: 8, payload: payload[:19]}, {v6: true, tags: []uint16{0}}} {
		f.Add(d.bytes())
	}
	f.Add([]byte("no frame of any kind"))
	r := newRig(f, Options{Window: 64, Stamps: true, windows: 64}, Interface{VLANs: []uint16{5}})
	before := r.Totals()
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < 14 || len(frame) > 3000 {
			return // the kernel runs no program for such
		}
		r.t = t
		verdict := r.run(frame)
		now := r.Totals()
		packets, wrong := now.Packets-before.Packets, now.BadChecksum-before.BadChecksum
		before = now
		want, sum := judge(frame)
		switch {
		case want == pass && (verdict != pass || packets+wrong > 0):
			t.Errorf("%x: verdict %d, counted %d and %d", frame, verdict, packets, wrong)
		case want == drop && (verdict != drop || packets+wrong != 1 || sum != (packets == 1)):
			t.Errorf("%x: verdict %d, counted %d and %d, its checksum is right: %v", frame, verdict, packets, wrong, sum)
		}
		for _, run := range r.Found() {
			n, _, _ := run.Progress()
			if c := run.Counts(); c.Arrived() != n || !c.Balanced() {
				t.Errorf("%x: %d packets: %+v", frame, n, c)
			}
			run.Release()
		}
	})
}

// judge says what has to become of a frame, and of one that is taken whether its checksum is right.
func judge(frame []byte) (verdict uint32, right bool) {
	p, err := testenv.Decode(frame)
	bad := errors.Is(err, testenv.ErrBadChecksum)
	if p == nil || err != nil && !bad || !bytes.Equal(p.DestinationMAC, mac) || len(p.VLANs) > 1 {
		return pass, false
	}
	at := 14 + 4*len(p.VLANs)
	if len(p.VLANs) == 1 && (frame[12] != 0x81 || p.VLANs[0]&0xfff != 0 && p.VLANs[0]&0xfff != 5) {
		return pass, false
	}
	if p.Version == 0 || int(frame[at]>>4) != p.Version || p.Version == 6 && frame[at+6] != 17 || p.Fragment || !slices.Contains([]netip.Addr{here4, here6}, p.Destination) {
		return pass, false
	}
	if p.Version == 4 && sum(0, frame[at:at+int(frame[at]&15)*4]) != 0xffff {
		return pass, false
	}
	if !p.UDP || p.DestinationPort != port || int(binary.BigEndian.Uint16(p.IPPayload[4:])) != len(p.IPPayload) {
		return pass, false
	}
	if !bad {
		return drop, true
	}
	addresses := append(p.Source.AsSlice(), p.Destination.AsSlice()...)
	return drop, binary.BigEndian.Uint16(p.IPPayload[6:]) == sum(uint32(17+p.UDPLength)+uint32(sum(0, addresses)), nil)
}
