// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// linux builds control messages of Linux.
func linux(messages ...linuxCMsg) []byte {
	b := make([]byte, 1024)
	w := oobWriter{b: b}
	for _, m := range messages {
		copy(w.add(m.level, m.typ, len(m.data)), m.data)
	}
	return b[:w.used]
}

func ints(values ...int32) (b []byte) {
	for _, v := range values {
		b = binary.NativeEndian.AppendUint32(b, uint32(v))
	}
	return b
}

// The layouts are those of cmsg(3) and ip(7), the constants those of the headers.
func TestWriteControl(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	mapped := netip.AddrFrom16(v4.As16())
	info4 := append(append(ints(3), v4.AsSlice()...), 9, 9, 9, 9) // ipi_addr is ignored
	info6 := append(v6.AsSlice(), ints(3)...)
	infoMapped := append(mapped.AsSlice(), ints(3)...)
	infoOpen := append(make([]byte, 16), ints(3)...)
	for name, tc := range map[string]struct {
		oob  []byte
		is4  bool
		want []byte // nil: refused
	}{
		"nothing":             {nil, true, []byte{}},
		"v4 pktinfo":          {linux(linuxCMsg{0, 8, info4}), true, wsk.AppendPktinfo(nil, v4, 3)},
		"v4 TTL":              {linux(linuxCMsg{0, 2, ints(9)}), true, wsk.AppendTTL(nil, true, 9)},
		"v4 TOS":              {linux(linuxCMsg{0, 1, ints(0xb8)}), true, wsk.AppendTOS(nil, true, 0xb8)},
		"v4 TOS in a byte":    {linux(linuxCMsg{0, 1, []byte{0xb8}}), true, wsk.AppendTOS(nil, true, 0xb8)},
		"v6 pktinfo":          {linux(linuxCMsg{41, 50, info6}), false, wsk.AppendPktinfo(nil, v6, 3)},
		"v6 hop limit":        {linux(linuxCMsg{41, 52, ints(9)}), false, wsk.AppendTTL(nil, false, 9)},
		"v6 default":          {linux(linuxCMsg{41, 52, ints(-1)}, linuxCMsg{41, 67, ints(-1)}), false, []byte{}},
		"v6 class":            {linux(linuxCMsg{41, 67, ints(0xb8)}), false, wsk.AppendTOS(nil, false, 0xb8)},
		"segments":            {linux(linuxCMsg{17, 103, []byte{0xb0, 0x04}}), false, wsk.AppendSendMsgSize(nil, 1200)},
		"several":             {linux(linuxCMsg{0, 2, ints(9)}, linuxCMsg{0, 1, []byte{4}}), true, wsk.AppendTOS(wsk.AppendTTL(nil, true, 9), true, 4)},
		"other level":         {linux(linuxCMsg{4711, 1, ints(1)}), true, []byte{}},
		"v4 for v6":           {linux(linuxCMsg{0, 2, ints(9)}), false, []byte{}},
		"v6 for v4":           {linux(linuxCMsg{41, 52, ints(9)}), true, []byte{}},
		"v6 pktinfo mapped":   {linux(linuxCMsg{41, 50, infoMapped}), true, wsk.AppendPktinfo(nil, v4, 3)},
		"v6 pktinfo open":     {linux(linuxCMsg{41, 50, infoOpen}), true, wsk.AppendPktinfo(nil, netip.IPv4Unspecified(), 3)},
		"v6 pktinfo for v4":   {linux(linuxCMsg{41, 50, info6}), true, nil},
		"short v4 pktinfo":    {linux(linuxCMsg{0, 8, info4[:8]}), true, nil},
		"short v6 pktinfo":    {linux(linuxCMsg{41, 50, info6[:16]}), false, nil},
		"hop limit 0":         {linux(linuxCMsg{41, 52, ints(0)}), false, wsk.AppendTTL(nil, false, 1)},
		"unknown v4":          {linux(linuxCMsg{0, 8 + 1, ints(1)}), true, nil},
		"unknown UDP":         {linux(linuxCMsg{17, 104, ints(1)}), true, nil},
		"segments of 4 bytes": {linux(linuxCMsg{17, 103, ints(1)}), true, nil},
	} {
		o := newOp()
		got, err := o.writeControl(tc.oob, tc.is4)
		if tc.want == nil {
			if !errors.Is(err, syscall.EINVAL) {
				t.Errorf("%s: % x, %v, want EINVAL", name, got, err)
			}
			continue
		}
		if err != nil || !bytes.Equal(got, tc.want) {
			t.Errorf("%s: % x, %v, want % x", name, got, err, tc.want)
		}
	}
}

// What is received comes out in the layout of Linux.
func TestReadControl(t *testing.T) {
	v4, group, v6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("239.1.2.3"), netip.MustParseAddr("2001:db8::7")
	for name, tc := range map[string]struct {
		control []byte
		want    []linuxCMsg
	}{
		"v4 pktinfo": {wsk.AppendPktinfo(nil, v4, 3), []linuxCMsg{{0, 8, append(ints(3), 192, 0, 2, 7, 192, 0, 2, 7)}}},
		"group":      {wsk.AppendPktinfo(nil, group, 3), []linuxCMsg{{0, 8, append(ints(3), 0, 0, 0, 0, 239, 1, 2, 3)}}},
		"v6 pktinfo": {wsk.AppendPktinfo(nil, v6, 3), []linuxCMsg{{41, 50, append(v6.AsSlice(), ints(3)...)}}},
		"v4":         {wsk.AppendTOS(wsk.AppendTTL(nil, true, 200), true, 0xb8), []linuxCMsg{{0, 2, ints(200)}, {0, 1, []byte{0xb8}}}},
		"v6":         {wsk.AppendTOS(wsk.AppendTTL(nil, false, 200), false, 0xb8), []linuxCMsg{{41, 52, ints(200)}, {41, 67, ints(0xb8)}}},
		"coalesced":  {wsk.AppendCMsgUint32(nil, wsk.IPPROTO_UDP, wsk.UDP_COALESCED_INFO, 1200), []linuxCMsg{{17, 104, ints(1200)}}},
		"unknown":    {wsk.AppendECN(nil, true, 1), nil},
		"too short":  {wsk.AppendCMsg(nil, wsk.IPPROTO_IP, wsk.IP_PKTINFO, []byte{1, 2}), nil},
	} {
		o := newOp()
		o.length = uint32(copy(o.control, tc.control))
		want := linux(tc.want...)
		oob := bytes.Repeat([]byte{0xA5}, 100)
		n, flags := o.readControl(oob)
		if diff := cmp.Diff(want, oob[:n], cmp.Transformer("hex", func(b []byte) []int {
			var list []int
			for _, x := range b {
				list = append(list, int(x))
			}
			return list
		})); diff != "" || flags != 0 {
			t.Errorf("%s: flags %#x\n%s", name, flags, diff)
		}
		// With less room there are fewer messages, each of them whole, and the flag is set.
		for room := range len(want) - linuxWord {
			if n, flags := o.readControl(oob[:room]); n > room || flags != linuxMsgCTrunc {
				t.Errorf("%s: room for %d: %d, flags %#x", name, room, n, flags)
			}
		}
	}
	o := newOp()
	o.flags = wsk.MSG_TRUNC | wsk.MSG_CTRUNC | wsk.MSG_BCAST
	if _, flags := o.readControl(nil); flags != linuxMsgTrunc|linuxMsgCTrunc {
		t.Errorf("flags %#x", flags)
	}
}

// FuzzWriteControl: whatever a caller passes is refused or becomes well-formed control data, and is never read beyond
// its end.
func FuzzWriteControl(f *testing.F) {
	f.Add(linux(linuxCMsg{0, 2, ints(9)}, linuxCMsg{0, 1, []byte{4}}), true)
	f.Add(linux(linuxCMsg{41, 50, make([]byte, 20)}, linuxCMsg{17, 103, []byte{1, 0}}), false)
	f.Add(bytes.Repeat(linux(linuxCMsg{0, 8, make([]byte, 12)}), 40), true)
	f.Fuzz(func(t *testing.T, oob []byte, is4 bool) {
		o := newOp()
		control, err := o.writeControl(bytes.Clone(oob), is4)
		if err != nil {
			if !errors.Is(err, syscall.EINVAL) {
				t.Fatal(err)
			}
			return
		}
		it := wsk.CMsgs(control)
		for m, ok := it.Next(); ok; m, ok = it.Next() {
			if len(m.Data) == 0 {
				t.Fatalf("an object without data: % x", control)
			}
		}
		if it.Status() != wsk.STATUS_SUCCESS {
			t.Fatalf("% x became % x: %v", oob, control, it.Status())
		}
	})
}

// FuzzReadControl: control data of any kind become control messages that parse, within the room that there is.
func FuzzReadControl(f *testing.F) {
	f.Add(wsk.AppendTTL(wsk.AppendPktinfo(nil, netip.IPv6Loopback(), 3), false, 4), uint8(60))
	f.Add(wsk.AppendTOS(wsk.AppendPktinfo(nil, netip.IPv4Unspecified(), 3), true, 4), uint8(30))
	f.Fuzz(func(t *testing.T, control []byte, room uint8) {
		o := newOp()
		o.length = uint32(copy(o.control, control))
		oob := make([]byte, room)
		n, _ := o.readControl(oob)
		for rest := oob[:n]; len(rest) > 0; {
			_, next, ok, malformed := nextLinuxCMsg(rest)
			if !ok || malformed {
				t.Fatalf("% x", oob[:n])
			}
			rest = next
		}
	})
}
