// SPDX-License-Identifier: Apache-2.0

// Package frames sends prepared frames over an AF_XDP socket of its own: no IRP, no socket of the kernel that reserves a
// port, and so any source address, port, MAC and VLAN, and ten million flows. What comes back is counted, not timed.
//
//	Maker: flow, stamp, headers ──► Sender: chunk, TX ring, kick ──► completion ring, count
//
// In the maker's place may be another Source, with times of its own for its frames: package replay.
//
// One goroutine does all of it. Nothing is kept for a flow but, of the first 65,536, its headers.
package frames
