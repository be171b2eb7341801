// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import "structs"

// Desc is struct xdp_desc of linux/if_xdp.h, an entry of the TX and RX rings, in host byte order.
type Desc struct {
	_ structs.HostLayout
	// Addr is where the frame starts, in bytes from the start of the UMEM.
	Addr uint64
	// Len is the length of the frame in bytes, without FCS.
	Len uint32
	// Options is 0 or DescTxMetadata when sending (XDP_PKT_CONTD is not used). On a descriptor without the
	// matching UMEM registration DescTxMetadata wedges the ring for ever, with EINVAL on each Kick.
	Options uint32
}
