// SPDX-License-Identifier: Apache-2.0

package offload

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"testing"
)

func unhex(tb testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

const (
	ipFromPeer  = "45c00044e0f900004001851e0a4d00020a4d0001" // 10.77.0.2 > 10.77.0.1, ICMP
	unreachable = "0303a1b200000000"                         // port unreachable
	ipQuoted    = "4500003c000140000111e4a30a4d00010a4d0002" // 10.77.0.1 > 10.77.0.2, UDP, TTL 1
	udpQuoted   = "c350829a002845b6"                         // 50000 > 33434, 40 bytes, checksum 45b6

	unreachable6 = "010412340000000000"
	ip6Quoted    = "6000000000281101fd770000000000000000000000000001fd770000000000000000000000000002"
)

func TestParseQuote(t *testing.T) {
	src, dst := netip.MustParseAddrPort("10.77.0.1:50000"), netip.MustParseAddrPort("10.77.0.2:33434")
	good := unhex(t, ipFromPeer+unreachable+ipQuoted+udpQuoted)
	want := Quote{By: dst.Addr(), Src: src, Dst: dst, Length: 40, Checksum: 0x45b6}
	if got, ok := ParseQuote(good); !ok || got != want {
		t.Errorf("%+v, %v; want %+v", got, ok, want)
	}
	if got, ok := ParseQuote(append(good, 1, 2, 3)); !ok || got != want {
		t.Errorf("with payload: %+v, %v", got, ok)
	}
	withOptions := slices.Concat(unhex(t, "46"+ipFromPeer[2:]+"94040000"+unreachable+"46"+ipQuoted[2:]+"94040000"+udpQuoted))
	if got, ok := ParseQuote(withOptions); !ok || got != want {
		t.Errorf("with IP options: %+v, %v", got, ok)
	}
	exceeded := slices.Clone(good)
	exceeded[20] = IcmpTimeExceed
	if got, ok := ParseQuote(exceeded); !ok || got != want {
		t.Errorf("time exceeded: %+v, %v", got, ok)
	}
	for n := range good {
		if got, ok := ParseQuote(good[:n]); ok {
			t.Errorf("cut to %d bytes: %+v", n, got)
		}
	}
	for name, at := range map[string]struct {
		offset int
		value  byte
	}{
		"outer version":       {0, 0x65},
		"outer header short":  {0, 0x44},
		"outer header long":   {0, 0x4f},
		"not ICMP":            {9, 17},
		"an echo":             {20, 8},
		"a redirect":          {20, 5},
		"inner version":       {28, 0x65},
		"inner header short":  {28, 0x44},
		"inner header long":   {28, 0x48},
		"quotes TCP":          {37, 6},
		"quotes a later part": {35, 1},
	} {
		bad := slices.Clone(good)
		bad[at.offset] = at.value
		if got, ok := ParseQuote(bad); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestParseQuote6(t *testing.T) {
	by := netip.MustParseAddr("fd77::2")
	src, dst := netip.MustParseAddrPort("[fd77::1]:50000"), netip.MustParseAddrPort("[fd77::2]:33434")
	good := unhex(t, unreachable6[:16]+ip6Quoted+udpQuoted)
	want := Quote{By: by, Src: src, Dst: dst, Length: 40, Checksum: 0x45b6}
	if got, ok := ParseQuote6(good, by); !ok || got != want {
		t.Errorf("%+v, %v; want %+v", got, ok, want)
	}
	for n := range good {
		if got, ok := ParseQuote6(good[:n], by); ok {
			t.Errorf("cut to %d bytes: %+v", n, got)
		}
	}
	for name, at := range map[string]struct {
		offset int
		value  byte
	}{"an echo": {0, 128}, "version": {8, 0x45}, "quotes TCP": {14, 6}, "quotes a fragment": {14, 44}} {
		bad := slices.Clone(good)
		bad[at.offset] = at.value
		if got, ok := ParseQuote6(bad, by); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// FuzzParseQuote: whatever arrives, nothing panics, and what is accepted lies in the packet.
func FuzzParseQuote(f *testing.F) {
	f.Add(unhex(f, ipFromPeer+unreachable+ipQuoted+udpQuoted), false)
	f.Add(unhex(f, unreachable6[:16]+ip6Quoted+udpQuoted), true)
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		var q Quote
		var ok bool
		if six {
			q, ok = ParseQuote6(b, netip.Addr{})
		} else {
			q, ok = ParseQuote(b)
		}
		if !ok {
			return
		}
		if q.Src.Addr().Is6() != six || q.Dst.Addr().Is6() != six {
			t.Errorf("families of %+v", q)
		}
		var header [8]byte
		binary.BigEndian.PutUint16(header[0:], q.Src.Port())
		binary.BigEndian.PutUint16(header[2:], q.Dst.Port())
		binary.BigEndian.PutUint16(header[4:], uint16(q.Length))
		binary.BigEndian.PutUint16(header[6:], q.Checksum)
		found := false
		for i := 0; i+8 <= len(b); i++ {
			found = found || [8]byte(b[i:]) == header
		}
		if !found {
			t.Errorf("%+v is not in %x", q, b)
		}
	})
}
