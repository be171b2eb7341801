// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
)

// TestKeyLayout: what is written into the map is what the program reads from a frame, byte by byte.
func TestKeyLayout(t *testing.T) {
	v4 := append(append([]byte{10, 77, 0, 2}, make([]byte, 12)...), 0x11, 0x51, 4, 0)
	v6 := append([]byte{0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}, 0x11, 0x51, 6, 0)
	for name, want := range map[string][]byte{
		"10.77.0.2:4433":      v4,
		"[fd77::2]:4433":      v6,
		"[fd77::2%wsk0]:4433": v6,
		"0.0.0.0:1":           append(make([]byte, 16), 0, 1, 4, 0),
		"[::]:65535":          append(make([]byte, 16), 0xff, 0xff, 6, 0),
	} {
		k, err := key(name).encode()
		must(t, err)
		var got bytes.Buffer
		must(t, binary.Write(&got, binary.NativeEndian, k.Addr), binary.Write(&got, binary.NativeEndian, k.Port),
			got.WriteByte(k.Family), got.WriteByte(k.Zero))
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: %x, want %x", name, got.Bytes(), want)
		}
	}
}

func TestInvalidKeys(t *testing.T) {
	for _, k := range []Key{
		{},
		{Port: 1},
		key("10.0.0.1:0"),
		key("127.0.0.1:1"),
		key("[::1]:1"),
		key("[::ffff:10.0.0.1]:1"),
		{netip.IPv6Loopback(), 1},
	} {
		if _, err := k.encode(); !errors.Is(err, ErrInvalidAddress) {
			t.Errorf("%v: %v, want ErrInvalidAddress", k, err)
		}
	}
}

func TestOptions(t *testing.T) {
	if err := (Options{}).withDefaults().validate(); err != nil {
		t.Errorf("zero value: %v", err)
	}
	got := Options{}.withDefaults()
	if want := (Options{Queues: 1, MaxPorts: 4096, MaxAddresses: 1024, MaxFrame: 1792}); got != want {
		t.Errorf("defaults %+v, want %+v", got, want)
	}
	for _, bad := range []Options{
		{Queues: -1}, {Queues: maxQueues + 1}, {MaxPorts: -1}, {MaxPorts: maxEntries + 1}, {MaxAddresses: -1}, {MaxAddresses: maxEntries + 1},
		{MaxFrame: 41}, {MaxFrame: -1}, {MaxFrame: 1<<17 + 1},
	} {
		if p, err := Load(bad); err == nil {
			t.Errorf("%+v was accepted", bad)
			p.Close()
		}
	}
}
