// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import "github.com/wsk-xdp/wsk-xdp/xdp/nic"

// maxFrameChunks is what an skb holds: its linear part and MAX_SKB_FRAGS fragments, at least 17 (net/xdp/xsk.c, xsk_build_skb;
// net/Kconfig).
const maxFrameChunks = 18

// frameChunks is the most chunks of a frame that a socket asks for.
func frameChunks(k kernel, o Options, l nic.Link) int {
	switch {
	case !o.MultiBuffer:
		return 1
	case o.Mode == ModeCopy:
		return maxFrameChunks
	}
	// A driver without them refuses the flag, or the kernel does so for it, as it refuses zero-copy: it is asked beforehand.
	d, err := k.device(l.Index)
	if err != nil {
		return 1
	}
	return max(1, min(maxFrameChunks, int(d.ZCMaxSegs)))
}
