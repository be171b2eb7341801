// SPDX-License-Identifier: Apache-2.0

// Package companion is the half of an endpoint that lives in the kernel: the UDP socket on its address and port, which
// keeps the port from everybody else, receives what no XDP program takes, hears of ICMP errors and sends what AF_XDP
// does not reach.
//
// What comes through it (read.go): reassembled fragments, IP options, extension headers, frames above the chunk size,
// loopback, other interfaces, ICMP errors, and everything where there is no program. What goes through it (send.go):
// datagrams to the host itself, to loopback, and over interfaces on which AF_XDP is not to be had.
//
// # Ports, sharing, groups
//
// Every endpoint holds a kernel socket on its address and port, so no other program gets them, and the kernel's own
// ports are refused to us. Winsock's sharing matrix is applied among the endpoints of one datapath (ports.go). Among
// sockets that share, a unicast datagram goes to the most specific binding and of equals to the latest, whichever way
// it came; a broadcast to all that are bound to any address; a group's datagram to all that have joined it on that
// interface and want its source. A membership is real: the kernel joins too (membership.go), through a socket on the
// group where the endpoint is bound to one unicast address (groups.go). Unlike on Windows, an endpoint bound to
// one address gets no broadcasts, as the kernel socket would not.
package companion
