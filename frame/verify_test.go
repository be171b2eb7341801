// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"bytes"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

func TestVerifyChecksums(t *testing.T) {
	// Flipping any one bit of what a checksum covers must show, and nothing else may.
	for _, flow := range []frame.Flow{flow4, flow6, withTags(flow4, qinq7, vlan100)} {
		good := build(t, flow, pattern(21), 9)
		p, r := frame.Parse(good)
		if r != frame.ReasonOK {
			t.Fatal(r)
		}
		for bit := range 8 * len(good) {
			b := bytes.Clone(good)
			b[bit/8] ^= 1 << (bit % 8)
			q, r := frame.Parse(b)
			if r != frame.ReasonOK {
				continue
			}
			got := frame.VerifyChecksums(b, &q)
			at := bit / 8
			want := frame.ReasonOK
			switch {
			case at >= p.UDPOffset, flow.Dst.Addr().Is6() && at >= p.IPOffset+8:
				want = frame.ReasonUDPChecksum
			case at >= p.IPOffset && flow.Dst.Addr().Is4():
				want = frame.ReasonIPv4Checksum
			}
			if got != want {
				t.Errorf("%v octet %d bit %d: %v, want %v", flow.Dst, at, bit%8, got, want)
			}
		}
	}
}

func TestVerifyChecksumsZeroAndPartial(t *testing.T) {
	tests := []struct {
		name  string
		flow  frame.Flow
		field func(p frame.Packet) uint16
		want  frame.Reason
	}{
		{"v4 none", flow4, func(frame.Packet) uint16 { return 0 }, frame.ReasonOK},
		{"v6 none", flow6, func(frame.Packet) uint16 { return 0 }, frame.ReasonUDPNoChecksum},
		{"v4 partial", flow4, pseudoOnly, frame.ReasonUDPPartialChecksum},
		{"v6 partial", flow6, pseudoOnly, frame.ReasonUDPPartialChecksum},
		{"v4 wrong", flow4, func(p frame.Packet) uint16 { return pseudoOnly(p) + 1 }, frame.ReasonUDPChecksum},
		{"v6 wrong", flow6, func(p frame.Packet) uint16 { return pseudoOnly(p) + 1 }, frame.ReasonUDPChecksum},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := build(t, tt.flow, pattern(21), 9)
			p, _ := frame.Parse(b)
			frame.UDP(b[p.UDPOffset:]).SetChecksum(tt.field(p))
			if r := frame.VerifyChecksums(b, &p); r != tt.want {
				t.Errorf("%v, want %v", r, tt.want)
			}
		})
	}
}

func pseudoOnly(p frame.Packet) uint16 {
	return frame.PseudoHeaderSum(p.Src.Addr(), p.Dst.Addr(), frame.ProtocolUDP, frame.UDPLen+p.PayloadLen).Fold()
}
