// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"structs"

	"golang.org/x/sys/unix"
)

// Desc is struct xdp_desc of linux/if_xdp.h, an entry of the TX and RX rings, in host byte order.
type Desc struct {
	_ structs.HostLayout
	// Addr is where the frame starts, in bytes from the start of the UMEM.
	Addr uint64
	// Len is the length of the frame in bytes, without FCS.
	Len uint32
	// Options is 0, or DescTxMetadata and DescContinued combined. When sending, on a descriptor without the matching UMEM
	// registration DescTxMetadata wedges the ring for ever, with EINVAL on each Kick.
	Options uint32
}

// DescContinued is the bit of Desc.Options that says that the frame goes on in the chunk of the next descriptor:
// XDP_PKT_CONTD of linux/if_xdp.h. The descriptors of one frame follow each other and are submitted together, no more than
// Granted.FrameChunks: the kernel drops a frame of more, and holds one without an end until more is submitted, which it then
// takes for the rest. Each descriptor completes.
const DescContinued = unix.XDP_PKT_CONTD
