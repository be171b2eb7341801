// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"bytes"
	"encoding/binary"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// Frames written down by hand, with checksums computed by a few lines of another language.
var goldenFrames = []struct {
	name    string
	flow    frame.Flow
	payload string
	id      uint16
	want    string
}{
	{
		name: "v4", payload: "hello", id: 0x1234,
		flow: func() frame.Flow { f := flow4; f.TOS, f.TTL = 0xb8, 17; return f }(),
		want: `
			02 00 00 00 00 0b  02 00 00 00 00 0a  08 00
			45 b8 00 21         # TOS b8, 33 octets
			12 34 00 00         # ID, no flags
			11 11 aa a4         # TTL 17, UDP, checksum
			c0 00 02 01  c6 33 64 07
			10 92 00 09 00 0d   # 4242 → 9, 13 octets
			bf 2a               # checksum
			68 65 6c 6c 6f`,
	},
	{
		name: "v4-df-empty", payload: "", id: 0,
		flow: func() frame.Flow { f := flow4; f.DF = true; return f }(),
		want: `
			02 00 00 00 00 0b  02 00 00 00 00 0a  08 00
			45 00 00 1c  00 00 40 00  40 11 4e 95
			c0 00 02 01  c6 33 64 07
			10 92 00 09 00 08  03 07`,
	},
	{
		name: "v4-vlan-nochecksum", payload: "x", id: 0xffff,
		flow: func() frame.Flow { f := withTags(flow4, vlan100); f.NoChecksum = true; return f }(),
		want: `
			02 00 00 00 00 0b  02 00 00 00 00 0a  81 00 a0 64  08 00
			45 00 00 1d  ff ff 00 00  40 11 8e 94
			c0 00 02 01  c6 33 64 07
			10 92 00 09 00 09  00 00  78`,
	},
	{
		name: "v6-qinq", payload: "hello", id: 99,
		flow: func() frame.Flow {
			f := withTags(flow6, qinq7, vlan100)
			f.TOS, f.FlowLabel, f.TTL = 0x03, 0x12345, 255
			return f
		}(),
		want: `
			02 00 00 00 00 0b  02 00 00 00 00 0a  88 a8 10 07  81 00 a0 64  86 dd
			60 31 23 45 00 0d 11 ff
			20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
			20 01 0d b8 00 00 00 01 00 00 00 00 00 00 00 07
			10 92 00 09 00 0d
			4f ec
			68 65 6c 6c 6f`,
	},
}

func TestPutHeadersGolden(t *testing.T) {
	for _, tt := range goldenFrames {
		t.Run(tt.name, func(t *testing.T) {
			want := octets(t, tt.want)
			if got := build(t, tt.flow, []byte(tt.payload), tt.id); !bytes.Equal(got, want) {
				t.Errorf("got\n% x, want\n% x", got, want)
			}
		})
	}
}

// allFlows is every header length and every optional field.
func allFlows() map[string]frame.Flow {
	flows := map[string]frame.Flow{}
	for name, base := range map[string]frame.Flow{"v4": flow4, "v6": flow6} {
		for tags, list := range map[string][]frame.VLANTag{
			"":      nil,
			"-vlan": {vlan100},
			"-qinq": {qinq7, vlan100},
		} {
			f := withTags(base, list...)
			f.TOS, f.TTL = 0x5d, 7
			flows[name+tags] = f
			f.DF = true
			flows[name+tags+"-df"] = f
			f.DF = false
			if name == "v4" {
				f.NoChecksum = true
				flows[name+tags+"-nochecksum"] = f
			} else {
				f.FlowLabel = frame.MaxFlowLabel
				flows[name+tags+"-label"] = f
			}
		}
	}
	return flows
}

// No octet outside the frame changes, the payload stays, and no octet of the headers is left as it was.
func TestPutHeadersWritesHeadersOnly(t *testing.T) {
	for name, flow := range allFlows() {
		t.Run(name, func(t *testing.T) {
			tmpl := mustTemplate(t, flow)
			hl := tmpl.HeaderLen()
			if want := 14 + 4*len(flow.VLANs) + map[bool]int{false: 20, true: 40}[tmpl.Is6()] + 8; hl != want {
				t.Fatalf("HeaderLen %d, want %d", hl, want)
			}
			for _, n := range []int{0, 1, 17, 1400} {
				payload := pattern(n)
				var sum frame.Sum
				sum.Add(payload)
				var frames [2][]byte
				for i, fill := range []byte{0x00, 0xff} {
					whole := bytes.Repeat([]byte{fill}, hl+n+64)
					copy(whole[hl:], payload)
					if got := tmpl.PutHeaders(whole, n, 3, sum); got != hl+n {
						t.Fatalf("frame length %d, want %d", got, hl+n)
					}
					rest := bytes.Repeat([]byte{fill}, 64)
					if !bytes.Equal(whole[hl:hl+n], payload) || !bytes.Equal(whole[hl+n:], rest) {
						t.Fatal("something behind the headers changed")
					}
					frames[i] = whole[:hl+n]
				}
				if !bytes.Equal(frames[0], frames[1]) {
					t.Fatalf("a header octet was not written:\n% x\n% x", frames[0][:hl], frames[1][:hl])
				}
			}
		})
	}
}

// A payload chosen so that the sum comes out as all ones: the field must be ffff and never 0.
func TestUDPChecksumZeroIsSentAsOnes(t *testing.T) {
	for _, flow := range []frame.Flow{flow4, flow6, withTags(flow6, vlan100)} {
		with0 := build(t, flow, []byte{0, 0}, 0)
		field := binary.BigEndian.Uint16(with0[len(with0)-4:])
		crafted := []byte{byte(field >> 8), byte(field)} // adding the complement of the rest makes ffff
		got := build(t, flow, crafted, 0)
		if c := binary.BigEndian.Uint16(got[len(got)-4:]); c != 0xffff {
			t.Errorf("%v: checksum %#04x, want 0xffff", flow.Dst, c)
		}
		p, r := frame.Parse(got)
		if r != frame.ReasonOK {
			t.Fatal(r)
		}
		if r := frame.VerifyChecksums(got, &p); r != frame.ReasonOK {
			t.Errorf("%v: %v", flow.Dst, r)
		}
		// The same with fragments, whose first header is written elsewhere.
		tmpl := mustTemplate(t, flow)
		payload := make([]byte, 3000)
		frames := fragments(t, &tmpl, payload, 1500, 1)
		at := tmpl.HeaderLen() - 2
		if tmpl.Is6() {
			at += frame.IPv6FragmentLen
		}
		copy(payload, frames[0][at:at+2])
		frames = fragments(t, &tmpl, payload, 1500, 1)
		if c := binary.BigEndian.Uint16(frames[0][at:]); c != 0xffff {
			t.Errorf("%v fragmented: checksum %#04x, want 0xffff", flow.Dst, c)
		}
	}
}

// A device adds what lies from csum_start on to the preset field and puts the complement there: the frame must then be
// the one that PutHeaders gives.
func TestPutHeadersPartial(t *testing.T) {
	for name, flow := range allFlows() {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{0, 1, 18, 1400} {
				payload := pattern(n)
				want := build(t, flow, payload, 77)
				tmpl := mustTemplate(t, flow)
				got := dirty(tmpl.HeaderLen() + n)
				copy(got[tmpl.HeaderLen():], payload)
				if l := tmpl.PutHeadersPartial(got, n, 77); l != len(want) {
					t.Fatalf("frame length %d, want %d", l, len(want))
				}
				start, offset, ok := tmpl.ChecksumOffload()
				if ok == flow.NoChecksum {
					t.Fatalf("offload %v for a flow with NoChecksum %v", ok, flow.NoChecksum)
				}
				if ok {
					p, r := frame.Parse(got)
					if r != frame.ReasonOK {
						t.Fatal(r)
					}
					if r := frame.VerifyChecksums(got, &p); r != frame.ReasonUDPPartialChecksum {
						t.Errorf("VerifyChecksums: %v, want %v", r, frame.ReasonUDPPartialChecksum)
					}
					c := ^referenceSum(got[start:])
					if c == 0 {
						c = 0xffff
					}
					binary.BigEndian.PutUint16(got[start+offset:], c)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("completed by a device\n% x, want\n% x", got, want)
				}
			}
		})
	}
}

func TestMaxPayload(t *testing.T) {
	for _, tt := range []struct {
		flow      frame.Flow
		mtu, want int
	}{
		{flow4, 1500, 1472},
		{withTags(flow4, vlan100), 1500, 1472},
		{flow6, 1500, 1452},
		{flow4, 65535, 65507},
		{flow4, 1 << 20, 65507},
		{flow6, 65535, 65487},
		{flow6, 65575, 65527},
		{flow6, 1 << 20, 65527},
		{flow4, 0, -28},
	} {
		tmpl := mustTemplate(t, tt.flow)
		if got := tmpl.MaxPayload(tt.mtu); got != tt.want {
			t.Errorf("%v mtu %d: %d, want %d", tt.flow.Dst, tt.mtu, got, tt.want)
		}
	}
}

func TestPutHeadersPanics(t *testing.T) {
	four, six := mustTemplate(t, flow4), mustTemplate(t, flow6)
	big := make([]byte, 70000)
	for name, call := range map[string]func(){
		"negative":   func() { four.PutHeaders(big, -1, 0, frame.Sum{}) },
		"v4 65508":   func() { four.PutHeaders(big, frame.MaxIPv4Payload+1, 0, frame.Sum{}) },
		"v6 65528":   func() { six.PutHeaders(big, frame.MaxIPv6Payload+1, 0, frame.Sum{}) },
		"short":      func() { four.PutHeaders(big[:four.HeaderLen()+9], 10, 0, frame.Sum{}) },
		"no room":    func() { four.PutHeaders(nil, 0, 0, frame.Sum{}) },
		"partial":    func() { six.PutHeadersPartial(big[:20], 0, 0) },
		"zero value": func() { new(frame.Template).PutHeaders(big, 0, 0, frame.Sum{}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			call()
		})
	}
}

// One template, many goroutines: for the race detector.
func TestTemplateIsShared(t *testing.T) {
	tmpl := mustTemplate(t, withTags(flow6, vlan100))
	plan, err := tmpl.PlanFragments(5000, 1500)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			buf := make([]byte, 2048)
			for i := range 500 {
				n := tmpl.PutHeaders(buf, i, 0, frame.Sum{})
				if p, r := frame.Parse(buf[:n]); r != frame.ReasonOK || p.PayloadLen != i {
					t.Errorf("%v, %d octets, want %d", r, p.PayloadLen, i)
					return
				}
				tmpl.PutFragment(buf, plan, i%plan.Count(), uint32(i), frame.Sum{})
			}
		})
	}
	wg.Wait()
}
