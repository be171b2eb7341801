// SPDX-License-Identifier: Apache-2.0

// Package datapath carries the datagrams of WSK sockets over AF_XDP. It is the one place where the layers meet: it
// implements [wsk.Transport] with the frames of package frame, the rings of package xdp and the routing tables of
// package route, and needs Linux.
//
// The package itself is small: it makes six rooms, which lie under internal, and ties them together.
//
//	ops        lists of operations on their way, and the trampoline that completes them
//	send       one operation from its destination to its completion: flow, queue, kick
//	receive    one frame from the RX ring to the endpoint that it is for
//	companion  an endpoint's sockets in the kernel: ports, sharing, groups, and the way around AF_XDP
//	offload    who may compute checksums, and the proof that they do
//	device     an interface: its queues, its mode, its programs, its carrier
//
// Which room may import which is a table (testenv/archtest/imports.go); send and receive know nothing of each other. Each room's
// own documentation tells its part.
//
// # A datagram leaves
//
// An endpoint (endpoint.go) gives the operation to its source, which finds the flow of the destination. A flow whose way is
// known passes it to its queue; otherwise the operation waits in the flow, its data still with the client, while a goroutine
// asks the kernel for the way. What AF_XDP does not reach goes through the companion socket. See [wsk.Endpoint.Send].
//
// # A datagram arrives
//
//	frame ──► XDP program of the interface ──► RX ring of the queue ──► receive ───┐
//	              │ not ours, fragments, options, tagged otherwise …               ├──► wsk.Receiver
//	              └──► the kernel's stack ──► companion socket ──► reader ─────────┘
//
// Between the two ways there is no order; within each, that of arrival. Neither buffers: that is the socket above, and the
// kernel below. A ring and a socket are read by a goroutine of their own, or, where one datagram answers the other, by the caller
// who waits for it ([wsk.Socket.WaitReceive], internal/receive/duty.go).
//
// # What the kernel's stack does not see
//
// A frame that is sent meets no rule of netfilter or tc and no tcpdump of its interface, and one that an XDP program takes
// met none either. Everything else that decides what the host's own socket would send and get is asked of the kernel and kept to, or the
// datagram goes through the kernel: routes, neighbours, sources, MTU, IPsec policies, VRFs, rp_filter, kinds of devices. Where the
// kernel tracks connections it sees the first datagram of each flow (Options.NoConntrack). docs/host.md has all of it, with the test of
// each, and `wsk-xdp doctor` tells what a host has.
//
// # The end
//
// Close ends everything in the order of invariant I8 (ARCHITECTURE.md): endpoints, then queues, then the programs, then the companion
// sockets and with them the ports. A device that is deleted fails what was to leave through it and kills the sockets that lived on it
// (janitor.go).
//
// # Locks
//
// What each lock guards, after which others it is taken and over what it is held is a table, internal/locks/locks.go, and
// every test that runs with -race is held to it (package lockrank). No lock is held over a delivery, and none over a
// completion routine but the one that says that a proof runs on a device, by the goroutine of that proof.
package datapath
