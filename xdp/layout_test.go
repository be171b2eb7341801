// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"reflect"
	"testing"

	"golang.org/x/sys/unix"
)

// The structs that the kernel reads and writes, field by field, as in linux/if_xdp.h of Linux 6.18.
func TestKernelLayouts(t *testing.T) {
	type field struct {
		name   string
		offset uintptr
		size   uintptr
	}
	for _, c := range []struct {
		value  any
		size   uintptr
		fields []field
	}{
		{Desc{}, 16, []field{{"Addr", 0, 8}, {"Len", 8, 4}, {"Options", 12, 4}}},
		{unix.XDPUmemReg{}, 32, []field{{"Addr", 0, 8}, {"Len", 8, 8}, {"Size", 16, 4}, {"Headroom", 20, 4},
			{"Flags", 24, 4}, {"Tx_metadata_len", 28, 4}}},
		{unix.XDPRingOffset{}, 32, []field{{"Producer", 0, 8}, {"Consumer", 8, 8}, {"Desc", 16, 8}, {"Flags", 24, 8}}},
		{unix.XDPMmapOffsets{}, 128, []field{{"Rx", 0, 32}, {"Tx", 32, 32}, {"Fr", 64, 32}, {"Cr", 96, 32}}},
		{unix.XDPStatistics{}, 48, []field{{"Rx_dropped", 0, 8}, {"Rx_invalid_descs", 8, 8},
			{"Tx_invalid_descs", 16, 8},
			{"Rx_ring_full", 24, 8}, {"Rx_fill_ring_empty_descs", 32, 8}, {"Tx_ring_empty_descs", 40, 8}}},
		{unix.RawSockaddrXDP{}, 16, []field{{"Family", 0, 2}, {"Flags", 2, 2}, {"Ifindex", 4, 4}, {"Queue_id",
			8, 4}, {"Shared_umem_fd", 12, 4}}},
	} {
		typ := reflect.TypeOf(c.value)
		if typ.Size() != c.size {
			t.Errorf("%v: %d bytes, want %d", typ, typ.Size(), c.size)
		}
		for _, f := range c.fields {
			got, ok := typ.FieldByName(f.name)
			if !ok || got.Offset != f.offset || got.Type.Size() != f.size {
				t.Errorf("%v.%s: offset %d size %d, want %d and %d", typ, f.name, got.Offset, got.Type.Size(),
					f.offset, f.size)
			}
		}
	}
	if sizeofDesc != 16 || sizeofAddr != 8 || needWakeupFlag != unix.XDP_RING_NEED_WAKEUP ||
		xdpHeadroom != unix.XDP_PACKET_HEADROOM {
		t.Error("constants of if_xdp.h")
	}
}

func TestMappedRingRefusesOffsets(t *testing.T) {
	m := make([]byte, 4096)
	good := unix.XDPRingOffset{Producer: 0, Consumer: 64, Flags: 128, Desc: 192}
	if _, e, err := mappedRing[Desc](m, good, 64); err != nil || len(e) != 64 {
		t.Fatalf("good offsets: %d entries, %v", len(e), err)
	}
	for name, off := range map[string]unix.XDPRingOffset{
		"producer-outside":   {Producer: 4096, Consumer: 64, Flags: 128, Desc: 192},
		"producer-straddles": {Producer: 4094, Consumer: 64, Flags: 128, Desc: 192},
		"consumer-unaligned": {Producer: 0, Consumer: 65, Flags: 128, Desc: 192},
		"flags-overflow":     {Producer: 0, Consumer: 64, Flags: 1<<64 - 4, Desc: 192},
		"desc-outside":       {Producer: 0, Consumer: 64, Flags: 128, Desc: 4096},
		"desc-too-late":      {Producer: 0, Consumer: 64, Flags: 128, Desc: 4096 - 64*16 + 8},
		"desc-unaligned":     {Producer: 0, Consumer: 64, Flags: 128, Desc: 193},
		"desc-overflow":      {Producer: 0, Consumer: 64, Flags: 128, Desc: 1<<64 - 64*16},
	} {
		if _, _, err := mappedRing[Desc](m, off, 64); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
