// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

func TestParseWhole(t *testing.T) {
	for name, flow := range allFlows() {
		t.Run(name, func(t *testing.T) {
			payload := pattern(33)
			for _, padding := range []int{0, 1, 46} {
				b := append(build(t, flow, payload, 0x4321), make([]byte, padding)...)
				got, r := frame.Parse(b)
				if r != frame.ReasonOK {
					t.Fatal(r)
				}
				ip := 14 + 4*len(flow.VLANs)
				udp := ip + 20
				if flow.Dst.Addr().Is6() {
					udp = ip + 40
				}
				want := frame.Packet{
					Src: flow.Src, Dst: flow.Dst, SrcMAC: macA, DstMAC: macB,
					NumVLANs: uint8(len(flow.VLANs)), EtherType: frame.EtherTypeIPv6,
					TOS: flow.TOS, TTL: flow.TTL, Protocol: frame.ProtocolUDP, FlowLabel: flow.FlowLabel,
					IPOffset: ip, UDPOffset: udp, PayloadOffset: udp + 8, PayloadLen: len(payload),
				}
				copy(want.VLANs[:], flow.VLANs)
				if !got.Is6() {
					want.EtherType, want.ID, want.DF = frame.EtherTypeIPv4, 0x4321, flow.DF
				}
				if got != want {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
				if p := got.Payload(b); !bytes.Equal(p, payload) || cap(p) != len(payload) {
					t.Errorf("payload of %d octets, capacity %d", len(p), cap(p))
				}
				if r := frame.VerifyChecksums(b, &got); r != frame.ReasonOK {
					t.Error(r)
				}
			}
		})
	}
}

// One good frame, one change a case. Offsets are those of an untagged frame: IP at 14, UDP at 34 or 54.
func TestParseReasons(t *testing.T) {
	put := func(b []byte, at int, v ...byte) []byte { copy(b[at:], v); return b }
	put16 := func(b []byte, at int, v int) []byte { binary.BigEndian.PutUint16(b[at:], uint16(v)); return b }
	cut := func(n int) func(b []byte) []byte { return func(b []byte) []byte { return b[:n] } }
	set := func(at int, v ...byte) func(b []byte) []byte {
		return func(b []byte) []byte { return put(b, at, v...) }
	}
	set16 := func(at, v int) func(b []byte) []byte { return func(b []byte) []byte { return put16(b, at, v) } }

	tests := []struct {
		name   string
		flow   frame.Flow
		change func(b []byte) []byte
		want   frame.Reason
	}{
		{"nothing", flow4, cut(0), frame.ReasonEthernetShort},
		{"ethernet cut", flow4, cut(13), frame.ReasonEthernetShort},
		{"arp", flow4, set16(12, 0x0806), frame.ReasonNotIP},
		{"802.3 length", flow4, set16(12, 46), frame.ReasonNotIP},
		{"vlan cut", withTags(flow4, vlan100), cut(17), frame.ReasonVLANShort},
		{"second vlan cut", withTags(flow4, qinq7, vlan100), cut(21), frame.ReasonVLANShort},
		{"three vlans", withTags(flow4, qinq7, vlan100), set16(20, 0x8100), frame.ReasonVLANDepth},
		{"arp in vlan", withTags(flow4, vlan100), set16(16, 0x0806), frame.ReasonNotIP},

		{"v4 nothing", flow4, cut(14), frame.ReasonIPv4Short},
		{"v4 cut", flow4, cut(33), frame.ReasonIPv4Short},
		{"v4 is 6", flow4, set(14, 0x65), frame.ReasonIPv4Version},
		{"v4 ihl 4", flow4, set(14, 0x44), frame.ReasonIPv4HeaderLength},
		{"v4 ihl 15", flow4, func(b []byte) []byte { return put(b, 14, 0x4f)[:14+59] }, frame.ReasonIPv4HeaderLength},
		{"v4 total 19", flow4, set16(16, 19), frame.ReasonIPv4TotalLength},
		{"v4 total one more", flow4, set16(16, 28+41), frame.ReasonIPv4TotalLength},
		{"v4 data cut", flow4, cut(14 + 28 + 39), frame.ReasonIPv4TotalLength},
		{"v4 tcp", flow4, set(23, 6), frame.ReasonNotUDP},
		{"v4 tcp fragment", flow4, func(b []byte) []byte { return put(put(b, 23, 6), 20, 0x20) }, frame.ReasonNotUDP},
		{"v4 first fragment", flow4, set16(20, 0x2000), frame.ReasonFragment},
		{"v4 middle fragment", flow4, set16(20, 0x2001), frame.ReasonFragment},
		{"v4 last fragment", flow4, set16(20, 0x0001), frame.ReasonFragment},
		{"v4 last fragment odd", flow4, func(b []byte) []byte {
			return put16(put16(b, 20, 1), 16, 20+47)
		}, frame.ReasonFragment},
		{"v4 middle fragment odd", flow4, func(b []byte) []byte {
			return put16(put16(b, 20, 0x2000), 16, 20+47)
		}, frame.ReasonBadFragment},
		{"v4 empty middle fragment", flow4, func(b []byte) []byte {
			return put16(put16(b, 20, 0x2001), 16, 20)
		}, frame.ReasonBadFragment},
		{"v4 ping of death", flow4, set16(20, 0x1fff), frame.ReasonBadFragment},
		{"v4 fragment to the end", flow4, func(b []byte) []byte {
			return put16(put16(b, 20, 0x1ffc), 16, 20+8+3)
		}, frame.ReasonFragment},
		{"v4 fragment past the end", flow4, func(b []byte) []byte {
			return put16(put16(b, 20, 0x1ffc), 16, 20+8+4)
		}, frame.ReasonBadFragment},
		{"v4 reserved flag", flow4, set16(20, 0x8000), frame.ReasonOK},
		{"v4 udp cut", flow4, set16(16, 27), frame.ReasonUDPShort},
		{"v4 udp length 7", flow4, set16(38, 7), frame.ReasonUDPLength},
		{"v4 udp length 0", flow4, set16(38, 0), frame.ReasonUDPLength},
		{"v4 udp length one more", flow4, set16(38, 49), frame.ReasonUDPLength},
		{"v4 udp length one less", flow4, set16(38, 47), frame.ReasonOK},
		{"v4 options", flow4, func(b []byte) []byte {
			return put(put16(withOptions(b, []byte{0x94, 4, 0, 0}), 16, 28+40+4), 14, 0x46)
		}, frame.ReasonIPv4Options},
		{"v4 options and a fragment", flow4, func(b []byte) []byte {
			return put16(put(put16(withOptions(b, []byte{0x94, 4, 0, 0}), 16, 28+40+4), 14, 0x46), 20, 0x2000)
		}, frame.ReasonFragment},
		{"v4 type, v6 packet", flow6, set16(12, 0x0800), frame.ReasonIPv4Version},

		{"v6 nothing", flow6, cut(14), frame.ReasonIPv6Short},
		{"v6 cut", flow6, cut(53), frame.ReasonIPv6Short},
		{"v6 is 4", flow6, set(14, 0x45), frame.ReasonIPv6Version},
		{"v6 length one more", flow6, set16(18, 49), frame.ReasonIPv6PayloadLength},
		{"v6 data cut", flow6, cut(54 + 47), frame.ReasonIPv6PayloadLength},
		{"v6 icmp", flow6, set(20, 58), frame.ReasonNotUDP},
		{"v6 no next header", flow6, set(20, 59), frame.ReasonNotUDP},
		{"v6 hop-by-hop", flow6, set(20, 0), frame.ReasonIPv6Extension},
		{"v6 routing", flow6, set(20, 43), frame.ReasonIPv6Extension},
		{"v6 esp", flow6, set(20, 50), frame.ReasonIPv6Extension},
		{"v6 authentication", flow6, set(20, 51), frame.ReasonIPv6Extension},
		{"v6 destination options", flow6, set(20, 60), frame.ReasonIPv6Extension},
		{"v6 first fragment", flow6, asFragment6(frame.ProtocolUDP, 0, true), frame.ReasonFragment},
		{"v6 last fragment", flow6, asFragment6(frame.ProtocolUDP, 8, false), frame.ReasonFragment},
		{"v6 atomic fragment", flow6, asFragment6(frame.ProtocolUDP, 0, false), frame.ReasonFragment},
		{"v6 atomic fragment without a header", flow6, func(b []byte) []byte {
			return put16(asFragment6(frame.ProtocolUDP, 0, false)(b), 18, 11)[:54+11]
		}, frame.ReasonFragment},
		{"v6 fragment past the end", flow6, asFragment6(frame.ProtocolUDP, 65496, false), frame.ReasonBadFragment},
		{"v6 fragment to the end", flow6, func(b []byte) []byte {
			return put16(asFragment6(frame.ProtocolUDP, 65496, false)(b), 18, 47)
		}, frame.ReasonFragment},
		{"v6 fragment of icmp", flow6, asFragment6(58, 0, true), frame.ReasonNotUDP},
		{"v6 fragment of options", flow6, asFragment6(60, 0, true), frame.ReasonIPv6Extension},
		{"v6 fragment of fragment", flow6, asFragment6(44, 0, true), frame.ReasonIPv6Extension},
		{"v6 middle fragment odd", flow6, func(b []byte) []byte {
			return put16(asFragment6(frame.ProtocolUDP, 0, true)(b), 18, 47)
		}, frame.ReasonBadFragment},
		{"v6 fragment header cut", flow6, func(b []byte) []byte {
			return put16(asFragment6(frame.ProtocolUDP, 0, true)(b), 18, 7)
		}, frame.ReasonIPv6FragmentShort},
		{"v6 udp cut", flow6, set16(18, 7), frame.ReasonUDPShort},
		{"v6 jumbogram", flow6, set16(58, 0), frame.ReasonUDPLength},
		{"v6 udp length one more", flow6, set16(58, 49), frame.ReasonUDPLength},
		{"v6 udp length one less", flow6, set16(58, 47), frame.ReasonOK},
		{"v6 payload length 0", flow6, set16(18, 0), frame.ReasonUDPShort},
	}
	seen := map[frame.Reason]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.change(build(t, tt.flow, pattern(40), 1))
			p, r := frame.Parse(bytes.Clone(b)) // exact capacity: a read past the end is a panic
			if r != tt.want {
				t.Errorf("%v, want %v (%+v)", r, tt.want, p)
			}
			checkPacket(t, b, p, r)
			seen[r] = true
		})
	}
	for r := range frame.ReasonIPv4Checksum {
		if !seen[r] {
			t.Errorf("no case ends in %q", r)
		}
	}
}

// withOptions inserts options behind the IPv4 header of an untagged frame.
func withOptions(b, options []byte) []byte {
	return append(append(bytes.Clone(b[:34]), options...), b[34:]...)
}

// asFragment6 overwrites the first 8 octets of an untagged IPv6 frame's data with a fragment header.
func asFragment6(next uint8, offset int, more bool) func(b []byte) []byte {
	return func(b []byte) []byte {
		frame.IPv6(b[14:]).SetNextHeader(frame.NextHeaderFragment)
		frame.IPv6Fragment(b[54:]).Encode(next, offset, more, 7)
		return b
	}
}

// checkPacket is what holds for every Packet, whatever the bytes.
func checkPacket(t testing.TB, b []byte, p frame.Packet, r frame.Reason) {
	t.Helper()
	if r >= frame.NumReasons || strings.HasPrefix(r.String(), "reason ") || r.String() == "" {
		t.Fatalf("reason %d has no name", r)
	}
	if p.IPOffset < 0 || p.PayloadOffset < 0 || p.PayloadLen < 0 || p.PayloadOffset+p.PayloadLen > len(b) {
		t.Fatalf("%v: offsets outside %d octets: %+v", r, len(b), p)
	}
	if p.UDPOffset != 0 && p.UDPOffset+frame.UDPLen > len(b) {
		t.Fatalf("%v: UDP offset outside %d octets: %+v", r, len(b), p)
	}
	if p.NumVLANs > frame.MaxVLANTags {
		t.Fatalf("%d tags", p.NumVLANs)
	}
	switch r {
	case frame.ReasonOK, frame.ReasonIPv4Options:
		if p.UDPOffset == 0 || p.PayloadOffset != p.UDPOffset+frame.UDPLen || p.MoreFragments || p.FragmentOffset != 0 {
			t.Fatalf("%v: %+v", r, p)
		}
		if !p.Src.IsValid() || !p.Dst.IsValid() || p.Src.Addr().Is4() == p.Is6() {
			t.Fatalf("%v: addresses %v %v", r, p.Src, p.Dst)
		}
	case frame.ReasonFragment:
		hasHeader := p.FragmentOffset == 0 && p.PayloadLen >= frame.UDPLen
		if hasHeader && p.UDPOffset != p.PayloadOffset || !hasHeader && (p.UDPOffset != 0 || p.Dst.Port() != 0) {
			t.Fatalf("%v: %+v", r, p)
		}
	default:
		if p.UDPOffset != 0 || p.Src.Port() != 0 || p.Dst.Port() != 0 {
			t.Fatalf("%v, but UDP fields are set: %+v", r, p)
		}
	}
}

func TestReasonNames(t *testing.T) {
	names := map[string]frame.Reason{}
	for r := range frame.Reason(frame.NumReasons) {
		s := r.String()
		if other, ok := names[s]; ok || s == "" || strings.ToLower(s) != s {
			t.Errorf("reason %d is called %q, like %d", r, s, other)
		}
		names[s] = r
	}
	if s := frame.Reason(frame.NumReasons).String(); s != "reason 24" {
		t.Errorf("an unknown reason is called %q", s)
	}
}

// The UDP length rules, not the IP length: what lies behind belongs to no one and isn't summed.
func TestParseSurplus(t *testing.T) {
	b := build(t, flow4, pattern(10), 1)
	b = append(b, 1, 2, 3, 4)
	ip := frame.IPv4(b[14:])
	ip.SetTotalLen(20 + 8 + 14)
	ip.UpdateChecksum()
	p, r := frame.Parse(b)
	if r != frame.ReasonOK || p.PayloadLen != 10 || !bytes.Equal(p.Payload(b), pattern(10)) {
		t.Fatalf("%v: %d octets", r, p.PayloadLen)
	}
	if r := frame.VerifyChecksums(b, &p); r != frame.ReasonOK {
		t.Error(r)
	}
	if want := netip.MustParseAddrPort("192.0.2.1:4242"); p.Src != want {
		t.Errorf("source %v", p.Src)
	}
}
