// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Offload says which sockets get a UMEM with room for TX metadata, so that the device or the kernel can be asked to
// complete the transport checksum of a frame. It is a wish: Granted.Offload tells the outcome, Granted.OffloadRefused
// why it is less.
//
// A grant is the word of the kernel, not a proof. A driver that ignores the request sends the frame with a wrong
// checksum and completes it as ever, so a caller should see a frame arrive whole before it relies on the offload.
type Offload uint8

// Offloads.
const (
	// OffloadNone registers no metadata. It works on every kernel.
	OffloadNone Offload = iota
	// OffloadDriver is for a zero-copy socket of a driver that reports tx-checksum among its xsk-features (netdev-genl,
	// Linux 6.8): the NIC sums. A copy-mode socket gets nothing.
	OffloadDriver
	// OffloadPartial is OffloadDriver, and in copy mode the frame becomes an skb with CHECKSUM_PARTIAL, as those of the
	// kernel's own UDP sockets are (net/xdp/xsk.c, xsk_build_skb). The device sums, or the kernel for a device that
	// says it can't (net/core/dev.c, validate_xmit_skb). A virtual device such as veth hands the unfinished frame on:
	// its peer's stack accepts it, an AF_XDP socket or XDP program there sees a wrong checksum.
	OffloadPartial
	// OffloadKernel is OffloadDriver, and in copy mode the kernel sums on the processor before the device sees the
	// frame (XDP_UMEM_TX_SW_CSUM). Right on every device, and slower than summing while copying.
	OffloadKernel
)

// String names the offload as the CLI spells it.
func (o Offload) String() string {
	switch o {
	case OffloadNone:
		return "none"
	case OffloadDriver:
		return "driver"
	case OffloadPartial:
		return "partial"
	case OffloadKernel:
		return "kernel"
	}
	return fmt.Sprintf("offload %d", uint8(o))
}

// DescTxMetadata is the bit of Desc.Options that says that TX metadata lie directly in front of the frame:
// XDP_TX_METADATA of linux/if_xdp.h. It is an error without Granted.Offload.
const DescTxMetadata = unix.XDP_TX_METADATA

// TxMetadataLen is the size in bytes of struct xsk_tx_metadata (linux/if_xdp.h) since Linux 6.14. Kernels from 6.11 on,
// whose struct has 16, take any multiple of 8 below 256 (net/xdp/xdp_umem.c) and read the first 16.
const TxMetadataLen = 24

// ChecksumRequest is TX metadata that ask for one checksum: XDP_TXMD_FLAGS_CHECKSUM. The zero value asks for nothing.
type ChecksumRequest struct {
	flags, request uint64 // as they lie in memory
}

// NewChecksumRequest asks for the sum of everything from start to the end of the frame, complemented, to be stored
// offset bytes after start. Both are in bytes, start from the first byte of the frame; they are csum_start and
// csum_offset. What is in the field beforehand is summed too: the sum of the pseudo-header belongs there
// (Documentation/networking/xsk-tx-metadata.rst).
//
// A start + offset + 2 beyond the frame makes a copy-mode kernel refuse the frame for ever, with EINVAL.
func NewChecksumRequest(start, offset uint16) ChecksumRequest {
	var b [8]byte
	binary.NativeEndian.PutUint16(b[0:], start)
	binary.NativeEndian.PutUint16(b[2:], offset)
	return ChecksumRequest{flags: unix.XDP_TXMD_FLAGS_CHECKSUM, request: binary.NativeEndian.Uint64(b[:])}
}

// Put writes the metadata in host byte order. meta are the TxMetadataLen bytes in front of the frame. The launch time
// in the last 8 is left alone, since nothing reads it unless asked to.
func (r ChecksumRequest) Put(meta *[TxMetadataLen]byte) {
	binary.NativeEndian.PutUint64(meta[0:], r.flags)
	binary.NativeEndian.PutUint64(meta[8:], r.request)
}

// withMetadata is a registration with TX metadata.
func withMetadata(reg unix.XDPUmemReg, o Offload) unix.XDPUmemReg {
	reg.Flags |= unix.XDP_UMEM_TX_METADATA_LEN
	reg.Tx_metadata_len = TxMetadataLen
	if o == OffloadKernel {
		reg.Flags |= unix.XDP_UMEM_TX_SW_CSUM
	}
	return reg
}

// metadataRefused is the answer "no" of a kernel that does not know the flags, else nil. Such a kernel says EINVAL, as
// it does to much else, so that the registration without the flags has the last word.
func metadataRefused(err error) error {
	if errors.Is(err, unix.EINVAL) {
		return &FeatureError{Name: "TX metadata (checksum offload, timestamps)", MinKernel: "6.12"}
	}
	return nil
}
