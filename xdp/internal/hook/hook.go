// SPDX-License-Identifier: Apache-2.0

// Package hook lets package xdptest, which plays the kernel, do what package xdp keeps to itself.
package hook

// KillRings is set by package xdp: it takes the rings and the UMEM of an xdp.Queue off their memory, as Close of a real
// socket does. The argument is of no narrower type because package xdp imports this one.
var KillRings func(queue any)
