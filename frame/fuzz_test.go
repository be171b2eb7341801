// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// FuzzParse: no panic, offsets in range, no read past the end; and a whole datagram, built again from what was
// read of it, is the same frame wherever the frame says nothing that a Flow can't.
func FuzzParse(f *testing.F) {
	for _, flow := range allFlows() {
		b := build(f, flow, pattern(20), 0x1234)
		f.Add(b)
		f.Add(append(b, 0, 0, 0))
		tmpl := mustTemplate(f, flow)
		if !flow.DF {
			for _, b := range fragments(f, &tmpl, pattern(1480), 1500, 77) {
				f.Add(b[:min(len(b), 200)])
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)[:len(b):len(b)]
		before := bytes.Clone(b)
		p, r := frame.Parse(b)
		checkPacket(t, b, p, r)
		switch r {
		case frame.ReasonOK:
			frame.VerifyChecksums(b, &p)
			if p.TTL != 0 {
				checkRebuilt(t, withRightChecksums(t, b, p), p)
			}
		case frame.ReasonIPv4Options, frame.ReasonFragment:
			frame.VerifyChecksums(b, &p)
		}
		if !bytes.Equal(b, before) {
			t.Fatal("Parse or VerifyChecksums changed the frame")
		}
	})
}

// withRightChecksums is a copy of a whole datagram's frame with its checksums put right, since hardly any that a fuzzer
// makes up are. A UDP checksum of 0 stays where it may.
func withRightChecksums(t *testing.T, b []byte, p frame.Packet) []byte {
	t.Helper()
	b = bytes.Clone(b)
	if !p.Is6() {
		frame.IPv4(b[p.IPOffset:]).UpdateChecksum()
	}
	udp := frame.UDP(b[p.UDPOffset : p.PayloadOffset+p.PayloadLen])
	if p.Is6() || udp.Checksum() != 0 {
		udp.SetChecksum(0)
		flow := frame.Flow{Src: p.Src, Dst: p.Dst}
		c := ^referenceUDPSum(flow, udp)
		if c == 0 {
			c = 0xffff
		}
		udp.SetChecksum(c)
	}
	if r := frame.VerifyChecksums(b, &p); r != frame.ReasonOK {
		t.Fatalf("right checksums: %v\n% x", r, b)
	}
	return b
}

// checkRebuilt builds the frame of p again. Where NewTemplate refuses what p says, there is nothing to compare.
func checkRebuilt(t *testing.T, b []byte, p frame.Packet) {
	t.Helper()
	udp := frame.UDP(b[p.UDPOffset:])
	tmpl, err := frame.NewTemplate(frame.Flow{
		SrcMAC: p.SrcMAC, DstMAC: p.DstMAC, VLANs: p.VLANs[:p.NumVLANs], Src: p.Src, Dst: p.Dst,
		TTL: p.TTL, TOS: p.TOS, FlowLabel: p.FlowLabel, DF: p.DF, NoChecksum: udp.Checksum() == 0,
	})
	if err != nil {
		return
	}
	if tmpl.Is6() != p.Is6() {
		return // a v4-mapped address inside IPv6
	}
	again := dirty(len(b))
	var sum frame.Sum
	sum.CopyAdd(again[p.PayloadOffset:], p.Payload(b))
	n := tmpl.PutHeaders(again, p.PayloadLen, uint16(p.ID), sum)
	q, r := frame.Parse(again[:n])
	if r != frame.ReasonOK || q != p {
		t.Fatalf("built again: %v\n%+v, was\n%+v", r, q, p)
	}
	// What a Flow can't say: the reserved IPv4 flag, and data behind the UDP length.
	sameLen := frame.IPv6(b[p.IPOffset:]).PayloadLen() == 8+p.PayloadLen
	if !p.Is6() {
		ip := frame.IPv4(b[p.IPOffset:])
		sameLen = ip.TotalLen() == 28+p.PayloadLen && b[p.IPOffset+6]&0x80 == 0
	}
	if sameLen && !bytes.Equal(again[:n], b[:n]) {
		t.Fatalf("built again\n% x, was\n% x", again[:n], b[:n])
	}
}

// FuzzChecksum: every way to take the sum agrees with RFC 1071 by the word.
func FuzzChecksum(f *testing.F) {
	f.Add([]byte{}, uint16(0), uint16(0))
	f.Add([]byte{1}, uint16(0), uint16(1))
	f.Add(bytes.Repeat([]byte{0xff}, 200), uint16(3), uint16(130))
	f.Add(pattern(9000), uint16(8191), uint16(8200))
	f.Fuzz(func(t *testing.T, b []byte, i, j uint16) {
		want := referenceSum(b)
		first, second := min(int(i), len(b)), min(int(j), len(b))
		first, second = min(first, second), max(first, second)
		pieces := [][]byte{b[:first], b[first:second], b[second:]}

		whole, dst := canary(len(b))
		var add, cp, app frame.Sum
		at := 0
		for _, piece := range pieces {
			add.Add(piece)
			cp.CopyAdd(dst[at:at+len(piece)], piece)
			at += len(piece)
			var part frame.Sum
			part.Add(piece)
			app.Append(part)
			app = frame.RestoreSum(app.State())
		}
		if add.Fold() != want || cp.Fold() != want || app.Fold() != want {
			t.Fatalf("cut at %d and %d: Add %#04x, CopyAdd %#04x, Append %#04x, want %#04x",
				first, second, add.Fold(), cp.Fold(), app.Fold(), want)
		}
		if !bytes.Equal(dst, b) {
			t.Fatal("CopyAdd copied something else")
		}
		checkCanary(t, whole, "CopyAdd")
		if frame.Checksum(b) != ^want {
			t.Fatalf("Checksum %#04x, want %#04x", frame.Checksum(b), ^want)
		}
		if len(b) >= 4 && want != 0 {
			old := uint16(b[2])<<8 | uint16(b[3])
			changed := bytes.Clone(b)
			changed[2], changed[3] = byte(i>>8), byte(i)
			if now := referenceSum(changed); now != 0 {
				if got := frame.UpdateChecksum(^want, old, i); got != ^now {
					t.Fatalf("UpdateChecksum %#04x, want %#04x", got, ^now)
				}
			}
		}
	})
}

// FuzzTemplate: what is built from a flow is read as that flow, whole, in fragments and completed by a device.
func FuzzTemplate(f *testing.F) {
	v4, v6 := flow4.Dst.Addr().AsSlice(), flow6.Dst.Addr().AsSlice()
	f.Add(v4, flow4.Src.Addr().AsSlice(), uint32(0x10920009), byte(64), byte(0), uint32(0), byte(0), uint16(0),
		[]byte("hello"), uint16(1500), uint32(1))
	f.Add(v6, flow6.Src.Addr().AsSlice(), uint32(0x10920009), byte(1), byte(0xff), uint32(0xfffff), byte(0x21),
		uint16(0xffff), pattern(3000), uint16(1280), uint32(1<<31))
	f.Add(v4, []byte{0, 0, 0, 0}, uint32(0), byte(0), byte(3), uint32(0), byte(0x1e), uint16(0x8007),
		pattern(200), uint16(68), uint32(0xffff))
	f.Fuzz(func(t *testing.T, dst, src []byte, ports uint32, ttl, tos byte, label uint32, bits byte, tci uint16,
		payload []byte, mtu uint16, id uint32,
	) {
		d, _ := netip.AddrFromSlice(dst)
		s, _ := netip.AddrFromSlice(src)
		flow := frame.Flow{
			SrcMAC: macA, DstMAC: macB,
			Src: netip.AddrPortFrom(s, uint16(ports>>16)), Dst: netip.AddrPortFrom(d, uint16(ports)),
			TTL: ttl, TOS: tos, FlowLabel: label, DF: bits&1 != 0, NoChecksum: bits&2 != 0,
		}
		for range bits >> 2 & 3 {
			tag := frame.VLANTagFrom(frame.EtherTypeVLAN, tci)
			if bits&0x10 != 0 {
				tag.TPID = frame.EtherTypeQinQ
			}
			flow.VLANs = append(flow.VLANs, tag)
			tci += 0x1001
		}
		tmpl, err := frame.NewTemplate(flow)
		if err != nil {
			return
		}
		if flow.TTL == 0 {
			flow.TTL = frame.DefaultTTL
		}
		flow.Src = netip.AddrPortFrom(s.Unmap(), flow.Src.Port())
		flow.Dst = netip.AddrPortFrom(d.Unmap(), flow.Dst.Port())
		if len(payload) > tmpl.MaxPayload(1<<20) {
			payload = payload[:tmpl.MaxPayload(1<<20)]
		}

		b := build(t, flow, payload, uint16(id))
		p := checkBuilt(t, b, flow)
		if !bytes.Equal(p.Payload(b), payload) || !p.Is6() && p.ID != uint32(uint16(id)) {
			t.Fatalf("payload or id differ: %+v", p)
		}
		if !flow.NoChecksum {
			if got := referenceUDPSum(flow, b[p.UDPOffset:]); got != 0xffff {
				t.Fatalf("datagram sums up to %#04x", got)
			}
			partial := bytes.Clone(b)
			tmpl.PutHeadersPartial(partial, len(payload), uint16(id))
			if r := frame.VerifyChecksums(partial, &p); r != frame.ReasonUDPPartialChecksum && r != frame.ReasonOK {
				t.Fatalf("partial: %v", r)
			}
		}

		if _, err := tmpl.PlanFragments(len(payload), int(mtu)); err != nil {
			return
		}
		frames := fragments(t, &tmpl, payload, int(mtu), id)
		if len(frames) == 1 {
			if !bytes.Equal(frames[0], b) {
				t.Fatal("a plan of one frame isn't PutHeaders")
			}
			return
		}
		for _, part := range frames {
			if ip := len(part) - 14 - 4*len(flow.VLANs); ip > int(mtu) {
				t.Fatalf("packet of %d octets, mtu %d", ip, mtu)
			}
		}
		udp := reassemble(t, frames)
		if !bytes.Equal(udp, b[p.UDPOffset:]) {
			t.Fatal("the reassembled datagram isn't the whole one")
		}
	})
}

// checkBuilt parses a frame and compares it with the flow that it is of.
func checkBuilt(t *testing.T, b []byte, flow frame.Flow) frame.Packet {
	t.Helper()
	p, r := frame.Parse(b)
	if r != frame.ReasonOK {
		t.Fatalf("%v: %+v", r, flow)
	}
	if r := frame.VerifyChecksums(b, &p); r != frame.ReasonOK {
		t.Fatalf("%v: % x", r, b)
	}
	if p.Src != flow.Src || p.Dst != flow.Dst || p.SrcMAC != flow.SrcMAC || p.DstMAC != flow.DstMAC ||
		p.TTL != flow.TTL || p.TOS != flow.TOS || p.FlowLabel != flow.FlowLabel ||
		p.DF != (flow.DF && !p.Is6()) || int(p.NumVLANs) != len(flow.VLANs) {
		t.Fatalf("read  %+v\nbuilt %+v", p, flow)
	}
	for i, tag := range flow.VLANs {
		if p.VLANs[i] != tag {
			t.Fatalf("tag %d: %+v, want %+v", i, p.VLANs[i], tag)
		}
	}
	return p
}
