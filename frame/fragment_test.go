// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// fragments is what a datapath does: gather each part from a list of oddly cut pieces, first frame last because its
// header covers everything.
func fragments(t testing.TB, tmpl *frame.Template, payload []byte, mtu int, id uint32) [][]byte {
	t.Helper()
	plan, err := tmpl.PlanFragments(len(payload), mtu)
	if err != nil {
		t.Fatal(err)
	}
	frames := make([][]byte, plan.Count())
	var whole frame.Sum
	for i := range frames {
		f := plan.At(i)
		frames[i] = dirty(f.FrameLen())
		var part frame.Sum
		at := f.HeaderLen
		for from, end := f.PayloadOffset, f.PayloadOffset+f.PayloadLen; from < end; {
			n := min(1+from%37, end-from)
			part.CopyAdd(frames[i][at:], payload[from:from+n])
			at, from = at+n, from+n
		}
		whole.Append(part)
	}
	for i := range frames {
		if n := tmpl.PutFragment(frames[i], plan, i, id, whole); n != len(frames[i]) {
			t.Fatalf("fragment %d: frame length %d, want %d", i, n, len(frames[i]))
		}
	}
	return frames
}

// reassemble puts the data of fragments together by octets, with no regard for speed: each octet exactly once, and
// nothing missing. It returns UDP header and payload.
func reassemble(t testing.TB, frames [][]byte) []byte {
	t.Helper()
	// What is there has a one in seen. Both are looked at a fragment at a time: octet by octet is slow with the race detector.
	data, seen := make([]byte, 70000), make([]byte, 70000)
	end := 0
	for i, f := range frames {
		p, r := frame.Parse(f)
		if r != frame.ReasonFragment {
			t.Fatalf("fragment %d: %v", i, r)
		}
		if r := frame.VerifyChecksums(f, &p); r != frame.ReasonOK {
			t.Fatalf("fragment %d: %v", i, r)
		}
		payload, at := p.Payload(f), int(p.FragmentOffset)
		if j := bytes.IndexByte(seen[at:at+len(payload)], 1); j >= 0 {
			t.Fatalf("fragment %d: octet %d twice", i, at+j)
		}
		copy(seen[at:], bytes.Repeat([]byte{1}, len(payload)))
		copy(data[at:], payload)
		if !p.MoreFragments {
			if end != 0 {
				t.Fatalf("fragment %d: a second last one", i)
			}
			end = int(p.FragmentOffset) + p.PayloadLen
		}
	}
	if at := bytes.IndexByte(seen[:end], 0); at >= 0 {
		t.Fatalf("octet %d of %d is missing", at, end)
	}
	if at := bytes.IndexByte(seen[end:], 1); at >= 0 {
		t.Fatalf("octet %d is there, behind the end at %d", end+at, end)
	}
	return data[:end]
}

var fragmentMTUs = map[bool][]int{
	false: {68, 69, 75, 76, 576, 1280, 1499, 1500, 1501, 9000, 65535},
	true:  {1280, 1281, 1287, 1288, 1499, 1500, 1501, 9000, 65535, 65575},
}

func TestFragmentsReassemble(t *testing.T) {
	for name, flow := range allFlows() {
		if flow.DF {
			continue
		}
		t.Run(name, func(t *testing.T) {
			tmpl := mustTemplate(t, flow)
			limit := frame.MaxIPv4Payload
			if tmpl.Is6() {
				limit = frame.MaxIPv6Payload
			}
			for _, mtu := range fragmentMTUs[tmpl.Is6()] {
				fits := tmpl.MaxPayload(mtu)
				sizes := []int{
					0, fits - 1, fits, fits + 1, fits + 2, fits + 8, 2*fits - 8, 2 * fits, 2*fits + 9, 3*fits + 5, 5000,
					limit - 1, limit,
				}
				if mtu < 576 {
					sizes = sizes[:len(sizes)-2]
				}
				for _, size := range sizes {
					if size > limit {
						continue
					}
					checkFragments(t, &tmpl, flow, size, mtu)
				}
			}
		})
	}
}

func checkFragments(t *testing.T, tmpl *frame.Template, flow frame.Flow, size, mtu int) {
	t.Helper()
	payload := pattern(size)
	frames := fragments(t, tmpl, payload, mtu, 0xfeedbeef)
	if size <= tmpl.MaxPayload(mtu) {
		if len(frames) != 1 || !bytes.Equal(frames[0], build(t, flow, payload, 0xbeef)) {
			t.Errorf("size %d mtu %d: %d frames, or not the frame of PutHeaders", size, mtu, len(frames))
		}
		return
	}
	link := frame.EthernetLen + frame.VLANTagLen*len(flow.VLANs)
	for i, f := range frames {
		p, r := frame.Parse(f)
		last := i == len(frames)-1
		if r != frame.ReasonFragment || len(f)-link > mtu || p.MoreFragments == last || p.DF ||
			p.TOS != flow.TOS || p.TTL != flow.TTL || p.FlowLabel != flow.FlowLabel || p.Src.Addr() != flow.Src.Addr() {
			t.Fatalf("size %d mtu %d fragment %d: %v %+v", size, mtu, i, r, p)
		}
		if want := map[bool]uint32{false: 0xbeef, true: 0xfeedbeef}[tmpl.Is6()]; p.ID != want {
			t.Fatalf("fragment %d: id %#x, want %#x", i, p.ID, want)
		}
		if !last && (p.PayloadLen%8 != 0 || mtu-(len(f)-link) >= 8) {
			t.Fatalf("size %d mtu %d fragment %d: %d octets of data", size, mtu, i, p.PayloadLen)
		}
		checkPacket(t, f, p, r)
		if i == 0 && (p.Src != flow.Src || p.Dst != flow.Dst) {
			t.Fatalf("first fragment: %v → %v", p.Src, p.Dst)
		}
	}
	// What the kernel's ip_fragment would need: full fragments until the rest fits a packet.
	udp := frame.UDP(reassemble(t, frames))
	if !udp.Valid() || udp.SrcPort() != flow.Src.Port() || udp.DstPort() != flow.Dst.Port() ||
		!bytes.Equal(udp.Payload(), payload) {
		t.Fatalf("size %d mtu %d: reassembled datagram differs", size, mtu)
	}
	if flow.NoChecksum {
		if udp.Checksum() != 0 {
			t.Fatalf("checksum %#04x, want 0", udp.Checksum())
		}
		return
	}
	if got := referenceUDPSum(flow, udp); got != 0xffff {
		t.Fatalf("size %d mtu %d: datagram sums up to %#04x", size, mtu, got)
	}
}

// referenceUDPSum is the sum of pseudo-header and datagram, all ones when the checksum is right.
func referenceUDPSum(flow frame.Flow, udp []byte) uint16 {
	src, dst := flow.Src.Addr().Unmap(), flow.Dst.Addr().Unmap()
	b := append(src.AsSlice(), dst.AsSlice()...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(udp)))
	b = append(b, 0, 0, 0, frame.ProtocolUDP)
	return referenceSum(append(b, udp...))
}

func TestFragmentPlanNumbers(t *testing.T) {
	four, six := mustTemplate(t, flow4), mustTemplate(t, flow6)
	tests := []struct {
		name      string
		tmpl      *frame.Template
		size, mtu int
		want      []frame.Fragment
	}{
		{"v4 fits", &four, 1472, 1500, []frame.Fragment{{42, 0, 1472, false}}},
		{"v4 one over", &four, 1473, 1500, []frame.Fragment{{42, 0, 1472, true}, {34, 1472, 1, false}}},
		{"v4 odd mtu", &four, 1480, 1501, []frame.Fragment{{42, 0, 1472, true}, {34, 1472, 8, false}}},
		// The last one takes 1481 octets, which isn't a multiple of 8.
		{"v4 long last", &four, 1472 + 1481, 1501, []frame.Fragment{{42, 0, 1472, true}, {34, 1472, 1481, false}}},
		{"v6 fits", &six, 1452, 1500, []frame.Fragment{{62, 0, 1452, false}}},
		{"v6 one over", &six, 1453, 1500, []frame.Fragment{{70, 0, 1440, true}, {62, 1440, 13, false}}},
		{"v6 three", &six, 3000, 1500, []frame.Fragment{
			{70, 0, 1440, true}, {62, 1440, 1448, true}, {62, 2888, 112, false},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := tt.tmpl.PlanFragments(tt.size, tt.mtu)
			if err != nil {
				t.Fatal(err)
			}
			var got []frame.Fragment
			for i := range plan.Count() {
				got = append(got, plan.At(i))
			}
			if len(got) != len(tt.want) {
				t.Fatalf("%+v, want %+v", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("fragment %d: %+v, want %+v", i, got[i], tt.want[i])
				}
			}
		})
	}
	for size, want := range map[int]int{65507: 45, 65527: 46} {
		tmpl := &four
		if size > 65507 {
			tmpl = &six
		}
		if plan, err := tmpl.PlanFragments(size, 1500); err != nil || plan.Count() != want {
			t.Errorf("%d octets: %d fragments (%v), want %d", size, plan.Count(), err, want)
		}
	}
}

func TestPlanFragmentsRefuses(t *testing.T) {
	df4, df6 := flow4, flow6
	df4.DF, df6.DF = true, true
	for _, tt := range []struct {
		name      string
		flow      frame.Flow
		size, mtu int
		want      error
	}{
		{"v4 too long", flow4, 65508, 1500, frame.ErrPayloadTooLong},
		{"v6 too long", flow6, 65528, 1500, frame.ErrPayloadTooLong},
		{"negative", flow4, -1, 1500, frame.ErrPayloadTooLong},
		{"v4 df", df4, 1473, 1500, frame.ErrDontFragment},
		{"v6 df", df6, 1453, 1500, frame.ErrDontFragment},
		{"v4 mtu", flow4, 0, 67, frame.ErrMTU},
		{"v6 mtu", flow6, 0, 1279, frame.ErrMTU},
		{"v4 df fits", df4, 1472, 1500, nil},
		{"v6 df fits", df6, 1452, 1500, nil},
		{"v4 least mtu", flow4, 65507, 68, nil},
		{"v6 least mtu", flow6, 65527, 1280, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tmpl := mustTemplate(t, tt.flow)
			if _, err := tmpl.PlanFragments(tt.size, tt.mtu); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestPutFragmentPanics(t *testing.T) {
	tmpl := mustTemplate(t, flow4)
	plan, err := tmpl.PlanFragments(3000, 1500)
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(){
		"index below":  func() { tmpl.PutFragment(make([]byte, 2000), plan, -1, 0, frame.Sum{}) },
		"index above":  func() { tmpl.PutFragment(make([]byte, 2000), plan, plan.Count(), 0, frame.Sum{}) },
		"short frame":  func() { tmpl.PutFragment(make([]byte, 1513), plan, 0, 0, frame.Sum{}) },
		"zero plan":    func() { tmpl.PutFragment(make([]byte, 2000), frame.FragmentPlan{}, 0, 0, frame.Sum{}) },
		"segment past": func() { frame.SegmentPlan{}.At(0, 0) },
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

// A plan is good for every template of the same family and tags, so for one that would not have made it too.
func TestFragmentPlanOfAnotherFlow(t *testing.T) {
	for name, flow := range allFlows() {
		if flow.DF || flow.Dst.Addr().Is6() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			plain := mustTemplate(t, flow)
			plan, err := plain.PlanFragments(5000, 1500)
			if err != nil {
				t.Fatal(err)
			}
			flow.DF = true
			df := mustTemplate(t, flow)
			for i := range plan.Count() {
				want, got := make([]byte, 1600), make([]byte, 1600)
				n := plain.PutFragment(want, plan, i, 0xbeef, frame.Sum{})
				if m := df.PutFragment(got, plan, i, 0xbeef, frame.Sum{}); m != n || !bytes.Equal(got, want) {
					t.Errorf("fragment %d:\n got % x\nwant % x", i, got[:m][:60], want[:n][:60])
				}
			}
		})
	}
}
