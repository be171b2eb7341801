// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Checklist item 2: golden bytes, written by hand.
func TestSockaddrGolden(t *testing.T) {
	for _, c := range []struct{ addr, hex string }{
		{"192.0.2.1:4660", "02001234" + "c0000201" + "0000000000000000"},
		{"[2001:db8::1]:53", "1700" + "0035" + "00000000" + "20010db8000000000000000000000001" + "00000000"},
		{"[fe80::1%258]:65535", "1700" + "ffff" + "00000000" + "fe800000000000000000000000000001" + "02010000"},
		{"[::ffff:192.0.2.1]:1", "1700" + "0001" + "00000000" + "00000000000000000000ffffc0000201" + "00000000"},
	} {
		want, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		ap := netip.MustParseAddrPort(c.addr)
		dirty := bytes.Repeat([]byte{0xA5}, 4)
		got := wsk.AppendSockaddr(dirty, ap)
		if !bytes.Equal(got[4:], want) {
			t.Errorf("%s: %x, want %x", c.addr, got[4:], want)
		}
		back, ok := wsk.SOCKADDR(want).AddrPort()
		if !ok || back != ap {
			t.Errorf("%x: %v, want %v", want, back, ap)
		}
		// Bytes that follow, as in a SOCKADDR_STORAGE, are not looked at.
		storage := append(append([]byte(nil), want...), bytes.Repeat([]byte{0xA5}, 128-len(want))...)
		if back, ok := wsk.SOCKADDR(storage).AddrPort(); !ok || back != ap {
			t.Errorf("%x in a SOCKADDR_STORAGE: %v", want, back)
		}
	}
}

func TestSockaddrRefused(t *testing.T) {
	in := wsk.NewSockaddr(netip.MustParseAddrPort("192.0.2.1:1"))
	in6 := wsk.NewSockaddr(netip.MustParseAddrPort("[::1]:1"))
	linux := append([]byte(nil), in6...)
	linux[0] = 10
	for name, sa := range map[string]wsk.SOCKADDR{
		"nil": nil, "empty": {}, "one-byte": in[:1], "short-in": in[:15], "short-in6": in6[:27], "in6-as-in": in6[:16],
		"linux-in6": linux, "family-0": make([]byte, 28), "family-high-byte": append([]byte{2, 1}, in[2:]...),
	} {
		if ap, ok := sa.AddrPort(); ok {
			t.Errorf("%s: taken as %v", name, ap)
		}
	}
	for _, ap := range []netip.AddrPort{{}, netip.AddrPortFrom(netip.MustParseAddr("fe80::1%eth0"), 1)} {
		if sa := wsk.NewSockaddr(ap); sa != nil {
			t.Errorf("%v encoded as %x", ap, sa)
		}
	}
}

// FuzzSockaddr: no bytes make the parser panic, and what it accepts is the same when it is built and parsed again.
func FuzzSockaddr(f *testing.F) {
	f.Add([]byte(wsk.NewSockaddr(netip.MustParseAddrPort("192.0.2.1:1"))))
	f.Add([]byte(wsk.NewSockaddr(netip.MustParseAddrPort("[fe80::1%7]:1"))))
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, b []byte) {
		sa := wsk.SOCKADDR(b)
		_ = sa.String()
		ap, ok := sa.AddrPort()
		if !ok {
			return
		}
		again, ok := wsk.NewSockaddr(ap).AddrPort()
		if !ok || again != ap {
			t.Fatalf("%x: %v, then %v", b, ap, again)
		}
	})
}
