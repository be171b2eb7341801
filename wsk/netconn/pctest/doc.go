// SPDX-License-Identifier: Apache-2.0

// Package pctest is a conformance suite for packet connections that take the place of *net.UDPConn: what programs rely on
// when they read, write, set deadlines and close. It plays the part for net.PacketConn that golang.org/x/net/nettest plays
// for net.Conn.
//
// [Run] takes two hosts, which may be the same one or lie on either side of a network, and may have different
// implementations. A suite proves something only when the original passes it: run it first with [Kernel] hosts.
package pctest
