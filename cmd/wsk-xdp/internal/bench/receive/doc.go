// SPDX-License-Identifier: Apache-2.0

// Package receive measures how many datagrams a second reach an application.
//
//	sending namespace                          receiving namespace
//	sender, on one CPU ──► wsk0 ═ veth ═ wsk1 ──► receiver, on another CPU, counts what it has in hand
//	   xdp: BPF_PROG_RUN with live frames            │
//	   wsk-batch: our own engine                     ▼ shared memory
//	                             parent: count, clock, CPU time at two moments
//
// On a veth pair what the receiving kernel does for a frame, up to the AF_XDP ring or the socket's queue, runs in
// softirq on the sender's CPU, so that a cheap sender leaves the CPU to it: xdp has the kernel make copies of one
// frame, at about 0.1 µs each, and hands them to the receiving interface as a driver would. The receiver's own CPU does
// the rest. Both processes keep to one CPU of their own. The far interface takes frames through NAPI for every engine
// (generic receive offload is on), as a NIC does.
//
// Engines differ in what takes the datagrams off the kernel; each looks at the payload's first bytes. "delivered" is
// the receiver's own count; it is compared with what the sender has sent and with the count of the far interface.
package receive
