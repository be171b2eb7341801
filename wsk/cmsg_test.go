// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Checklist item 3, the macros.
func TestCMsgLenSpace(t *testing.T) {
	for _, c := range []struct{ n, length, space int }{
		{0, 16, 16}, {1, 17, 24}, {4, 20, 24}, {8, 24, 24}, {12, 28, 32}, {20, 36, 40},
	} {
		if l, s := wsk.CMsgLen(c.n), wsk.CMsgSpace(c.n); l != c.length || s != c.space {
			t.Errorf("n=%d: LEN %d SPACE %d, want %d %d", c.n, l, s, c.length, c.space)
		}
	}
}

// Checklist item 2: golden bytes of the builders.
func TestCMsgGolden(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	for name, c := range map[string]struct {
		got []byte
		hex string
	}{
		"ip-pktinfo": {wsk.AppendPktinfo(nil, v4, 3),
			"1800000000000000" + "00000000" + "13000000" + "c0000207" + "03000000"},
		"ip-pktinfo-mapped": {wsk.AppendPktinfo(nil, netip.AddrFrom16(v4.As16()), 3),
			"1800000000000000" + "00000000" + "13000000" + "c0000207" + "03000000"},
		"ipv6-pktinfo": {wsk.AppendPktinfo(nil, v6, 0x102),
			"2400000000000000" + "29000000" + "13000000" + "20010db8000000000000000000000007" + "02010000" + "00000000"},
		"ip-tos":           {wsk.AppendTOS(nil, true, 0xb8), "1400000000000000" + "00000000" + "03000000" + "b8000000" + "00000000"},
		"ipv6-tclass":      {wsk.AppendTOS(nil, false, 1), "1400000000000000" + "29000000" + "27000000" + "01000000" + "00000000"},
		"ip-ecn":           {wsk.AppendECN(nil, true, 2), "1400000000000000" + "00000000" + "32000000" + "02000000" + "00000000"},
		"ipv6-ecn":         {wsk.AppendECN(nil, false, 2), "1400000000000000" + "29000000" + "32000000" + "02000000" + "00000000"},
		"ip-ttl":           {wsk.AppendTTL(nil, true, 9), "1400000000000000" + "00000000" + "04000000" + "09000000" + "00000000"},
		"ipv6-hoplimit":    {wsk.AppendTTL(nil, false, 9), "1400000000000000" + "29000000" + "15000000" + "09000000" + "00000000"},
		"udp-send-msgsize": {wsk.AppendSendMsgSize(nil, 1200), "1400000000000000" + "11000000" + "02000000" + "b0040000" + "00000000"},
		"empty":            {wsk.AppendCMsg(nil, 41, 32, nil), "1000000000000000" + "29000000" + "20000000"},
	} {
		if got := hex.EncodeToString(c.got); got != c.hex {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.hex)
		}
	}
}

// Checklist item 3, FIRSTHDR and NXTHDR: what stands at the end.
func TestCMsgIterate(t *testing.T) {
	object := func(length uint64, n int) []byte { // an object of n bytes with that cmsg_len
		b := make([]byte, n)
		binary.LittleEndian.PutUint64(b, length)
		return b
	}
	full := wsk.AppendPktinfo(wsk.AppendTOS(nil, false, 1), netip.MustParseAddr("::1"), 1) // 24 + 40 bytes
	for _, c := range []struct {
		name    string
		control []byte
		objects int
		status  wsk.NTSTATUS
	}{
		{"nil", nil, 0, wsk.STATUS_SUCCESS},
		{"empty-not-nil", []byte{}, 0, wsk.STATUS_SUCCESS},
		{"shorter-than-header", make([]byte, 15), 0, wsk.STATUS_INVALID_PARAMETER},
		{"two", full, 2, wsk.STATUS_SUCCESS},
		{"final-pad-missing", full[:60], 2, wsk.STATUS_SUCCESS},
		{"past-end-by-one", full[:59], 1, wsk.STATUS_INVALID_PARAMETER},
		{"last-exactly-16", wsk.AppendCMsg(full, 41, 32, nil), 3, wsk.STATUS_SUCCESS},
		{"stray-bytes-after", append(bytes.Clone(full), make([]byte, 15)...), 2, wsk.STATUS_SUCCESS},
		{"zero-header-after", append(bytes.Clone(full), make([]byte, 16)...), 2, wsk.STATUS_INVALID_PARAMETER},
		{"length-15", object(15, 24), 0, wsk.STATUS_INVALID_PARAMETER},
		{"length-0", object(0, 24), 0, wsk.STATUS_INVALID_PARAMETER},
		{"length-25-of-24", object(25, 24), 0, wsk.STATUS_INVALID_PARAMETER},
		{"length-2^64-1", object(math.MaxUint64, 24), 0, wsk.STATUS_INVALID_PARAMETER},
		{"length-2^64-8", object(math.MaxUint64-7, 24), 0, wsk.STATUS_INVALID_PARAMETER},
		{"length-2^63", object(1<<63, 24), 0, wsk.STATUS_INVALID_PARAMETER},
		{"length-2^32+16", object(1<<32+16, 24), 0, wsk.STATUS_INVALID_PARAMETER},
	} {
		it := wsk.CMsgs(c.control)
		n := 0
		for _, ok := it.Next(); ok; _, ok = it.Next() {
			n++
		}
		if n != c.objects || it.Status() != c.status {
			t.Errorf("%s: %d objects, %v, want %d, %v", c.name, n, it.Status(), c.objects, c.status)
		}
	}
}

// FuzzCMsg: hostile control data cause no panic and no endless loop, and what has been read of them can be built again.
func FuzzCMsg(f *testing.F) {
	f.Add(wsk.AppendTOS(wsk.AppendPktinfo(nil, netip.MustParseAddr("192.0.2.1"), 1), true, 3))
	f.Add(wsk.AppendCMsg(nil, 41, 32, nil))
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, control []byte) {
		var rebuilt []byte
		n := 0
		it := wsk.CMsgs(control)
		for m, ok := it.Next(); ok; m, ok = it.Next() {
			if n++; n > len(control)/16 {
				t.Fatal("more objects than there is room for")
			}
			rebuilt = wsk.AppendCMsg(rebuilt, m.Level, m.Type, m.Data)
		}
		it, again := wsk.CMsgs(control), wsk.CMsgs(rebuilt)
		for range n {
			a, _ := it.Next()
			b, ok := again.Next()
			if !ok || a.Level != b.Level || a.Type != b.Type || !bytes.Equal(a.Data, b.Data) {
				t.Fatalf("%x rebuilt as %x", control, rebuilt)
			}
		}
	})
}
