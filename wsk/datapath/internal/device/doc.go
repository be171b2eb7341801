// SPDX-License-Identifier: Apache-2.0

// Package device is the interfaces of a datapath: their queues (device.go), the mode that each queue gets, the XDP
// programs on them, and how they go and come back. It opens what packages send and receive then work on.
//
// # Zero-copy
//
// A queue is opened in the best mode that options, program and driver allow (mode.go): zero-copy, then copy. Each is
// asked for by name, woken once to see whether the driver serves it, and read back. For zero-copy an interface that is
// not received on gets an XDP program that passes everything (passprogram.go), for the driver's sake and the host's:
// attaching it may take the link down for seconds, which is waited out and told (carrier.go). With [xdp.ModeCopy]
// nothing is attached. Close takes off what was put on.
//
// A zero-copy queue receives into our memory whether we receive or not, so a queue that only sends gives it some; what
// no program redirects is copied to the host by the driver. A queue that is rebuilt asks for zero-copy again for some
// seconds, then copy mode will do. A driver without zero-copy is not asked for each queue, and asked again after some
// minutes (zerocopy.go).
//
// A queue that somebody else has is opened beside the traffic, which goes through the kernel's stack until it is free
// (beside.go).
//
// # Receiving
//
// An interface that is received on has a program of its own (program.go). Taken off by force, it is put back
// (guard.go). An interface that goes and comes back, as one whose driver is bound anew, is received on again
// (revive.go).
package device
