// SPDX-License-Identifier: Apache-2.0

package ipaddr

import (
	"net/netip"
	"testing"
)

// Package netip is the judge: each address in 16 bytes is asked the same of both.
func TestQuestions(t *testing.T) {
	for _, s := range []string{
		"0.0.0.0", "127.0.0.1", "192.0.2.7", "223.255.255.255", "224.0.0.0", "239.1.2.3", "240.0.0.0", "255.255.255.254", "255.255.255.255",
		"::", "::1", "::ffff", "::fffe:c000:207", "::1:ffff:0:0", "1::ffff:0:0", "::7fff:e000:1", "::ffff:ffff:ffff:ffff",
		"2001:db8::1", "fe7f::1", "fe80::", "fe80::1", "febf:ffff::1", "fec0::1", "feff::", "ff00::", "ff01::1", "ff02::1", "ff12::1", "ff05::1",
		"ffff::",
	} {
		want := netip.MustParseAddr(s)
		a := want.As16()
		w := Load(&a)
		var back [16]byte
		w.Store(&back)
		if back != a {
			t.Errorf("%s: stored as %x", s, back)
		}
		for _, q := range []struct {
			name      string
			got, want bool
		}{
			{"Is4", w.Is4(), want.Is4()},
			{"Is4 of bytes", Is4(&a), want.Is4()},
			{"IsUnspecified", w.IsUnspecified(), want.IsUnspecified()},
			{"IsMulticast", w.IsMulticast(), want.IsMulticast()},
			{"IsScoped", w.IsScoped(), want.Is6() &&
				(want.IsLinkLocalUnicast() || want.IsInterfaceLocalMulticast() || want.IsLinkLocalMulticast())},
			{"IsLinkLocal6", w.IsLinkLocal6(), want.Is6() && want.IsLinkLocalUnicast()},
			{"IsLimitedBroadcast", w.IsLimitedBroadcast(), s == "255.255.255.255"},
		} {
			if q.got != q.want {
				t.Errorf("%s: %s is %t, want %t", s, q.name, q.got, q.want)
			}
		}
		if got := Addr(a); got != want {
			t.Errorf("%s: Addr %v", s, got)
		}
		if want.Is4() {
			four := want.As4()
			if from := From4(append(four[:], 9)); from != a || Load4(four[:]) != w {
				t.Errorf("%s: from four bytes %x, %x", s, from, Load4(four[:]))
			}
		}
	}
}

func TestMapAndUnmap(t *testing.T) {
	for _, c := range []struct{ in, mapped, unmapped string }{
		{"192.0.2.1:9", "[::ffff:192.0.2.1]:9", "192.0.2.1:9"},
		{"[::ffff:192.0.2.1]:9", "[::ffff:192.0.2.1]:9", "192.0.2.1:9"},
		{"[2001:db8::1]:9", "[2001:db8::1]:9", "[2001:db8::1]:9"},
		{"[fe80::1%4]:9", "[fe80::1%4]:9", "[fe80::1%4]:9"},
	} {
		in := netip.MustParseAddrPort(c.in)
		if got := Map(in).String(); got != c.mapped {
			t.Errorf("Map(%s) is %s, want %s", c.in, got, c.mapped)
		}
		if got := Unmap(in).String(); got != c.unmapped {
			t.Errorf("Unmap(%s) is %s, want %s", c.in, got, c.unmapped)
		}
	}
	if got := Map(netip.AddrPort{}); got != (netip.AddrPort{}) {
		t.Errorf("Map of none is %v", got)
	}
}

func TestLast(t *testing.T) {
	for prefix, want := range map[string]string{
		"10.77.0.3/24": "10.77.0.255", "10.77.3.3/23": "10.77.3.255", "10.77.0.4/30": "10.77.0.7", "10.77.0.4/32": "10.77.0.4",
		"1.2.3.4/0": "255.255.255.255", "128.0.0.1/1": "255.255.255.255",
	} {
		if got := Last(netip.MustParsePrefix(prefix)); got.String() != want {
			t.Errorf("%s: %v, want %s", prefix, got, want)
		}
	}
}

func BenchmarkIs4(b *testing.B) {
	a := netip.MustParseAddr("192.0.2.1").As16()
	for b.Loop() {
		if !Is4(&a) {
			b.Fatal("not IPv4")
		}
	}
}
