// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"bytes"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// sameAsPutHeaders compares PutDatagram with what CopyAdd and PutHeaders make of the same.
func sameAsPutHeaders(t *testing.T, tmpl *frame.Template, flow frame.Flow, payload []byte, id uint16) {
	t.Helper()
	want := build(t, flow, payload, id)
	whole, got := canary(len(want))
	if n := tmpl.PutDatagram(got, payload, id); n != len(want) || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, id %#04x: length %d\n% x, want\n% x", len(payload), id, n, got, want)
	}
	checkCanary(t, whole, "PutDatagram")
}

func TestPutDatagram(t *testing.T) {
	for name, flow := range allFlows() {
		t.Run(name, func(t *testing.T) {
			tmpl := mustTemplate(t, flow)
			for n := range 200 {
				for _, id := range []uint16{0, 1, 0x00ff, 0xff00, 0xffff} {
					sameAsPutHeaders(t, &tmpl, flow, pattern(n), id)
				}
			}
			for _, n := range []int{1471, 1472, 8972, 65507} {
				sameAsPutHeaders(t, &tmpl, flow, pattern(n), 7)
			}
			for _, octet := range []byte{0, 0xff} { // sums at their ends
				for n := range 70 {
					sameAsPutHeaders(t, &tmpl, flow, bytes.Repeat([]byte{octet}, n), 0xffff)
				}
			}
		})
	}
}

// TestPutDatagramZeroChecksum looks for a payload whose checksum comes out as 0, which is sent as 0xffff.
func TestPutDatagramZeroChecksum(t *testing.T) {
	tmpl := mustTemplate(t, flow4)
	payload := pattern(18)
	copy(payload, []byte{0, 0})
	b := build(t, flow4, payload, 0)
	udp := b[tmpl.HeaderLen()-2:]
	copy(payload, udp[:2]) // what was missing to all ones
	sameAsPutHeaders(t, &tmpl, flow4, payload, 0)
	if tmpl.PutDatagram(b, payload, 0); udp[0] != 0xff || udp[1] != 0xff {
		t.Errorf("checksum % x, want ff ff", udp[:2])
	}
}

func FuzzPutDatagram(f *testing.F) {
	f.Add(uint8(0), []byte("hello"), uint16(0xffff))
	f.Add(uint8(1), pattern(18), uint16(1))
	f.Add(uint8(1), bytes.Repeat([]byte{0xff}, 31), uint16(0))
	flows := []frame.Flow{flow4, flow6, withTags(flow4, vlan100)}
	f.Fuzz(func(t *testing.T, which uint8, payload []byte, id uint16) {
		flow := flows[int(which)%len(flows)]
		tmpl := mustTemplate(t, flow)
		sameAsPutHeaders(t, &tmpl, flow, payload[:min(len(payload), 65507)], id)
	})
}

func TestPutDatagramPanics(t *testing.T) {
	for name, flow := range map[string]frame.Flow{"IPv4": flow4, "IPv6": flow6} {
		tmpl := mustTemplate(t, flow)
		for what, do := range map[string]func(){
			"no room": func() { tmpl.PutDatagram(make([]byte, tmpl.HeaderLen()+17), pattern(18), 0) },
			"too long": func() {
				tmpl.PutDatagram(make([]byte, 70000), pattern(tmpl.MaxPayload(70000)+1), 0)
			},
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				defer func() {
					if recover() == nil {
						t.Error("no panic")
					}
				}()
				do()
			})
		}
	}
}
