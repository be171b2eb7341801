// SPDX-License-Identifier: Apache-2.0

// Package recv counts the datagrams that come to a port, and accounts for those that blast has stamped.
//
//	engine (udp, wsk) ──► Sink: stamp → run → account ──► report
//	engine (xdp) ◄── asks ─┘   package tally
//	                        ▲
//	control: TCP, hello … end ── package peer
//
// Everything that it keeps has a bound, whatever comes: runs, the windows of their streams, connections, intervals.
package recv
