// SPDX-License-Identifier: Apache-2.0

package ipc_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// TestBoundsThatTheMessageKeeps: what is too many or too long is refused as that also when all of its bytes are there,
// where no later check would find it.
func TestBoundsThatTheMessageKeeps(t *testing.T) {
	count := func(n int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }
	entry := func(v6 bool, length int) []byte {
		b := make([]byte, 64+(length+7)&^7)
		if v6 {
			b[16] = 0x20
		} else {
			b[26], b[27], b[28] = 0xff, 0xff, 192
		}
		binary.LittleEndian.PutUint32(b[4:], uint32(length))
		return b
	}
	record := func(length int, kind byte) []byte {
		padded := (length + 63) &^ 63
		b := make([]byte, 64+padded)
		binary.LittleEndian.PutUint32(b, uint32(64+padded))
		binary.LittleEndian.PutUint32(b[4:], uint32(length))
		if b[55] = kind; kind == 1 {
			b[56] = 1
		}
		return b
	}
	times := func(n int, b []byte) []byte {
		var all []byte
		for range n {
			all = append(all, b...)
		}
		return all
	}
	decodeSend := func(b []byte) error { return new(ipc.Send).Decode(b) }
	decodeRecv := func(b []byte) error { return new(ipc.Recv).Decode(b) }
	decodeDone := func(b []byte) error { return new(ipc.Done).Decode(b) }
	for _, tt := range []struct {
		name   string
		decode func([]byte) error
		body   []byte
		want   string
	}{
		{"64 entries", decodeSend, append(count(64), times(64, entry(false, 0))...), ""},
		{"65 entries", decodeSend, append(count(65), times(65, entry(false, 0))...), "the count is 1 to 64"},
		{"no entries", decodeSend, count(0), "the count is 1 to 64"},
		{"65507 bytes", decodeSend, append(count(1), entry(false, 65507)...), ""},
		{"65508 bytes", decodeSend, append(count(1), entry(false, 65508)...),
			"a payload has at most 65507 bytes in IPv4, 65527 in IPv6"},
		{"65527 bytes", decodeSend, append(count(1), entry(true, 65527)...), ""},
		{"65528 bytes", decodeSend, append(count(1), entry(true, 65528)...),
			"a payload has at most 65507 bytes in IPv4, 65527 in IPv6"},
		{"64 records", decodeRecv, append(count(64), times(64, record(0, 0))...), ""},
		{"65 records", decodeRecv, append(count(65), times(65, record(0, 0))...), "the count is 1 to 64"},
		{"65535 bytes received", decodeRecv, append(count(1), record(65535, 0)...), ""},
		{"65536 bytes received", decodeRecv, append(count(1), record(65536, 0)...),
			"a record is as large as its payload makes it"},
		{"an error with a payload", decodeRecv, append(count(1), record(1, 1)...), "an error has no payload"},
		{"64 completions", decodeDone, append(count(64), make([]byte, 64*16)...), ""},
		{"65 completions", decodeDone, append(count(65), make([]byte, 65*16)...),
			"a SEND has 1 to 64 entries, those that are left included"},
		{"no completions", decodeDone, count(0), "a SEND has 1 to 64 entries, those that are left included"},
	} {
		err := tt.decode(tt.body)
		var v *ipc.Violation
		if (tt.want == "") != (err == nil) || err != nil && (!errors.As(err, &v) || v.Rule != tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
