// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdptest

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// metadataValid is what xsk_skb_metadata of net/xdp/xsk.c checks before it takes a frame.
func (k *Kernel) metadataValid(d xdp.Desc) bool {
	if k.granted.Offload == xdp.OffloadNone {
		return false
	}
	flags, start, offset := k.request(d)
	const known = unix.XDP_TXMD_FLAGS_TIMESTAMP | unix.XDP_TXMD_FLAGS_CHECKSUM | unix.XDP_TXMD_FLAGS_LAUNCH_TIME
	if flags&^known != 0 {
		return false
	}
	return flags&unix.XDP_TXMD_FLAGS_CHECKSUM == 0 || start+offset+2 <= int(d.Len)
}

// request reads struct xsk_tx_metadata in front of a frame.
func (k *Kernel) request(d xdp.Desc) (flags uint64, start, offset int) {
	m := k.umem.Chunk(d.Addr - xdp.TxMetadataLen)
	return binary.NativeEndian.Uint64(m), int(binary.NativeEndian.Uint16(m[8:])), int(binary.NativeEndian.Uint16(m[10:]))
}

// completed is the frame as it leaves: the UMEM's own bytes, or a copy with the checksum that was asked for.
func (k *Kernel) completed(d xdp.Desc) []byte {
	frame := k.umem.Frame(d)
	if d.Options&xdp.DescTxMetadata == 0 || k.granted.Offload == xdp.OffloadPartial {
		return frame
	}
	flags, start, offset := k.request(d)
	if flags&unix.XDP_TXMD_FLAGS_CHECKSUM == 0 {
		return frame
	}
	frame = slices.Clone(frame)
	var sum uint64
	for i, b := range frame[start:] {
		sum += uint64(b) << (8 * (1 - uint(i)&1))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	check := ^uint16(sum)
	if check == 0 {
		check = 0xffff // CSUM_MANGLED_0 of include/net/checksum.h
	}
	binary.BigEndian.PutUint16(frame[start+offset:], check)
	return frame
}
