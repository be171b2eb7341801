// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// octets reads hexadecimal with white space, and comments from # to the end of a line.
func octets(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEthernetAndVLANViews(t *testing.T) {
	want := octets(t, `
		02 00 00 00 00 0b   # destination
		02 00 00 00 00 0a   # source
		88 a8               # 802.1ad
		10 07               # priority 0, DEI, VLAN 7
		81 00               # 802.1Q
		a0 64               # priority 5, VLAN 100
		08 00               # IPv4
	`)
	b := dirty(len(want))
	eth := frame.Ethernet(b)
	eth.SetDst(macB)
	eth.SetSrc(macA)
	eth.SetEtherType(frame.EtherTypeQinQ)
	outer := frame.VLAN(eth.Payload())
	outer.SetTCI(qinq7.TCI())
	outer.SetEtherType(frame.EtherTypeVLAN)
	inner := frame.VLAN(outer.Payload())
	inner.SetTCI(vlan100.TCI())
	inner.SetEtherType(frame.EtherTypeIPv4)
	if !bytes.Equal(b, want) {
		t.Fatalf("encoded\n% x, want\n% x", b, want)
	}
	if !eth.Valid() || !outer.Valid() || !inner.Valid() {
		t.Error("not valid")
	}
	if eth.Dst() != macB || eth.Src() != macA || eth.EtherType() != frame.EtherTypeQinQ {
		t.Errorf("ethernet: %v %v %#04x", eth.Dst(), eth.Src(), eth.EtherType())
	}
	if got := frame.VLANTagFrom(eth.EtherType(), outer.TCI()); got != qinq7 {
		t.Errorf("outer tag %+v, want %+v", got, qinq7)
	}
	if got := frame.VLANTagFrom(outer.EtherType(), inner.TCI()); got != vlan100 {
		t.Errorf("inner tag %+v, want %+v", got, vlan100)
	}
	if inner.EtherType() != frame.EtherTypeIPv4 {
		t.Errorf("inner type %#04x", inner.EtherType())
	}
	if frame.Ethernet(b[:13]).Valid() || frame.VLAN(b[:3]).Valid() {
		t.Error("a short header is valid")
	}
}

func TestIPv4View(t *testing.T) {
	want := octets(t, `
		45 b9 00 1d         # version 4, 5 words, TOS EF + ECT(1), 29 octets
		12 34 20 02         # ID, MF, offset 16
		3f 11 5c a5         # TTL 63, UDP, checksum
		c0 00 02 01         # 192.0.2.1
		c6 33 64 07         # 198.51.100.7
		01 02 03 04 05 06 07 08 09
	`)
	b := dirty(len(want))
	ip := frame.IPv4(b)
	copy(b[20:], []byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	ip.SetVersionIHL(20)
	ip.SetTOS(0xb9)
	ip.SetTotalLen(29)
	ip.SetID(0x1234)
	ip.SetFragment(false, true, 16)
	ip.SetTTL(63)
	ip.SetProtocol(frame.ProtocolUDP)
	ip.SetSrc(netip.MustParseAddr("192.0.2.1"))
	ip.SetDst(netip.MustParseAddr("::ffff:198.51.100.7"))
	ip.UpdateChecksum()
	if !bytes.Equal(b, want) {
		t.Fatalf("encoded\n% x, want\n% x", b, want)
	}
	if !ip.Valid() || !ip.ChecksumOK() {
		t.Errorf("valid %v, checksum %v", ip.Valid(), ip.ChecksumOK())
	}
	if ip.Version() != 4 || ip.HeaderLen() != 20 || ip.TOS() != 0xb9 || ip.TotalLen() != 29 || ip.ID() != 0x1234 ||
		ip.DF() || !ip.MF() || ip.FragmentOffset() != 16 || ip.TTL() != 63 || ip.Protocol() != 17 ||
		ip.Src().String() != "192.0.2.1" || ip.Dst().String() != "198.51.100.7" {
		t.Errorf("decoded wrongly: % x", b)
	}
	if !bytes.Equal(ip.Payload(), want[20:]) || len(ip.Options()) != 0 {
		t.Errorf("payload % x, options % x", ip.Payload(), ip.Options())
	}
	ip.SetChecksum(ip.Checksum() ^ 0x0100)
	if ip.ChecksumOK() {
		t.Error("a wrong checksum is right")
	}
	ip.SetFragment(true, false, 0)
	if !ip.DF() || ip.MF() || ip.FragmentOffset() != 0 {
		t.Error("SetFragment kept old flags")
	}
}

func TestIPv4Options(t *testing.T) {
	b := append(octets(t, "46 00 00 1a 00 00 00 00 40 11 00 00 c0 00 02 01 c6 33 64 07"),
		0x94, 0x04, 0, 0, // router alert
		0xaa, 0xbb, 0xee) // two octets of data, one of padding
	ip := frame.IPv4(b)
	ip.UpdateChecksum()
	if !ip.Valid() || !ip.ChecksumOK() || !bytes.Equal(ip.Options(), b[20:24]) || !bytes.Equal(ip.Payload(), b[24:26]) {
		t.Errorf("valid %v, options % x, payload % x", ip.Valid(), ip.Options(), ip.Payload())
	}
	if referenceSum(b[:24]) != 0xffff {
		t.Error("the checksum doesn't cover the options")
	}
}

func TestIPv6View(t *testing.T) {
	want := octets(t, `
		6b 8a bc de         # version 6, class b8, label abcde
		00 03 11 3f         # 3 octets, UDP, hop limit 63
		20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
		ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 fb
		01 02 03
	`)
	b := dirty(len(want))
	copy(b[40:], []byte{1, 2, 3})
	ip := frame.IPv6(b)
	ip.SetVersionClassLabel(0xb8, 0xabcde)
	ip.SetPayloadLen(3)
	ip.SetNextHeader(frame.ProtocolUDP)
	ip.SetHopLimit(63)
	ip.SetSrc(netip.MustParseAddr("2001:db8::1"))
	ip.SetDst(netip.MustParseAddr("ff02::fb%3"))
	if !bytes.Equal(b, want) {
		t.Fatalf("encoded\n% x, want\n% x", b, want)
	}
	if !ip.Valid() || ip.Version() != 6 || ip.TrafficClass() != 0xb8 || ip.FlowLabel() != 0xabcde ||
		ip.PayloadLen() != 3 || ip.NextHeader() != 17 || ip.HopLimit() != 63 ||
		ip.Src().String() != "2001:db8::1" || ip.Dst().String() != "ff02::fb" {
		t.Errorf("decoded wrongly: % x", b)
	}
	if !bytes.Equal(ip.Payload(), []byte{1, 2, 3}) {
		t.Errorf("payload % x", ip.Payload())
	}
	for n := range len(b) {
		if frame.IPv6(b[:n]).Valid() {
			t.Errorf("valid when cut to %d", n)
		}
	}
}

func TestIPv6FragmentView(t *testing.T) {
	want := octets(t, "11 00 05 a9 de ad be ef  55") // UDP, offset 1448, more, ID
	b := dirty(len(want))
	b[8] = 0x55
	f := frame.IPv6Fragment(b)
	f.Encode(frame.ProtocolUDP, 1448, true, 0xdeadbeef)
	if !bytes.Equal(b, want) {
		t.Fatalf("encoded\n% x, want\n% x", b, want)
	}
	if !f.Valid() || f.NextHeader() != 17 || f.Offset() != 1448 || !f.More() || f.ID() != 0xdeadbeef ||
		len(f.Payload()) != 1 {
		t.Errorf("decoded wrongly: % x", b)
	}
	f.Encode(frame.ProtocolUDP, 65528, false, 1)
	if f.More() || f.Offset() != 65528 || f.ID() != 1 {
		t.Errorf("the last fragment: % x", b)
	}
	if f[:7].Valid() {
		t.Error("a short header is valid")
	}
}

func TestUDPView(t *testing.T) {
	want := octets(t, "10 92 00 09 00 0a ab cd  01 02") // 4242 → 9, 10 octets
	b := dirty(len(want) + 1)
	copy(b[8:], []byte{1, 2})
	u := frame.UDP(b)
	u.SetSrcPort(4242)
	u.SetDstPort(9)
	u.SetLen(10)
	u.SetChecksum(0xabcd)
	if !bytes.Equal(b[:10], want) {
		t.Fatalf("encoded\n% x, want\n% x", b, want)
	}
	if !u.Valid() || u.SrcPort() != 4242 || u.DstPort() != 9 || u.Len() != 10 || u.Checksum() != 0xabcd ||
		!bytes.Equal(u.Payload(), []byte{1, 2}) {
		t.Errorf("decoded wrongly: % x", b)
	}
	for _, n := range []int{0, 7, 12, 65535} {
		u.SetLen(n)
		if u.Valid() {
			t.Errorf("length %d is valid in %d octets", n, len(b))
		}
	}
	if u[:7].Valid() {
		t.Error("a short header is valid")
	}
}

// A value that doesn't fit its field must not reach into the next one.
func TestSettersKeepToTheirFields(t *testing.T) {
	if tci := (frame.VLANTag{ID: 0xffff, PCP: 8}).TCI(); tci != 0x0fff {
		t.Errorf("tci %#04x", tci)
	}
	b := dirty(40)
	frame.IPv6(b).SetVersionClassLabel(0, 0xffffffff)
	if !bytes.Equal(b[:4], []byte{0x60, 0x0f, 0xff, 0xff}) {
		t.Errorf("ipv6 % x", b[:4])
	}
	frame.IPv6Fragment(b).Encode(17, 15, false, 0)
	if !bytes.Equal(b[:4], []byte{17, 0, 0, 8}) {
		t.Errorf("fragment header % x", b[:4])
	}
	frame.IPv4(b).SetVersionIHL(64)
	if b[0] != 0x40 {
		t.Errorf("ipv4 %#02x", b[0])
	}
}

// What Valid accepts, no accessor panics on.
func TestIPv4ValidRefuses(t *testing.T) {
	good := build(t, flow4, pattern(20), 1)[14:]
	if !frame.IPv4(good).Valid() {
		t.Fatal("a good packet isn't valid")
	}
	for name, change := range map[string]func(b frame.IPv4) frame.IPv4{
		"version 6":        func(b frame.IPv4) frame.IPv4 { b[0] = 0x65; return b },
		"ihl 4":            func(b frame.IPv4) frame.IPv4 { b[0] = 0x44; return b },
		"ihl past end":     func(b frame.IPv4) frame.IPv4 { b[0] = 0x4f; b.SetTotalLen(20); return b },
		"total below ihl":  func(b frame.IPv4) frame.IPv4 { b.SetTotalLen(19); return b },
		"total past end":   func(b frame.IPv4) frame.IPv4 { b.SetTotalLen(len(b) + 1); return b },
		"cut header":       func(b frame.IPv4) frame.IPv4 { return b[:19] },
		"cut data":         func(b frame.IPv4) frame.IPv4 { return b[:len(b)-1] },
		"nothing":          func(b frame.IPv4) frame.IPv4 { return nil },
		"total below ihl6": func(b frame.IPv4) frame.IPv4 { b[0] = 0x46; b.SetTotalLen(23); return b },
	} {
		if change(bytes.Clone(good)).Valid() {
			t.Errorf("%s: valid", name)
		}
	}
}
