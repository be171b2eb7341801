// SPDX-License-Identifier: Apache-2.0

// Package xdptest plays the kernel's side of an AF_XDP socket over plain Go memory: the ring types, the UMEM and
// the wake-ups are those of package xdp, and what becomes of each frame is scripted. It needs no privilege and no
// device, and the race detector sees both sides of the rings.
//
// A [Kernel] is an xdp.Queue. By default it behaves like a copy-mode socket on a veth pair: each Kick consumes up
// to the budget and completes in order before it returns.
package xdptest
