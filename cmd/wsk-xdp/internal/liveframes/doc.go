// SPDX-License-Identifier: Apache-2.0

// Package liveframes sends packets without a socket: the kernel makes copies of one frame (BPF_PROG_RUN, live frames, Linux 5.18), an XDP
// program of ours turns each into the next packet of the run, and the kernel hands them to the driver of the interface in bulk.
//
//	Run ── BPF_PROG_RUN, so many frames ──► wsklive: flow, stamp, checksums ──► redirect ──► driver
//	 ▲                                          │                                              │
//	 └── state map: numbers given out ◄─────────┴── taken, refused ◄── tracepoints of the kernel ┘
//
// What is in the packets is what package frames would put there, but for the time in their stamps.
//
// Nobody says when such a packet has left: that the driver took it is all that is known. What it did not take is counted.
package liveframes
