// SPDX-License-Identifier: Apache-2.0

// Package datapath carries the datagrams of WSK sockets over AF_XDP. It is the one place where the layers meet: it
// implements [wsk.Transport] with the frames of package frame, the rings of package xdp and the routing tables of
// package route, and needs Linux.
//
// # A datagram leaves
//
// [wsk.Endpoint.Send] finds the flow of the destination (flow.go). A flow whose way is known passes the operation to its
// queue (queue.go); otherwise the operation waits in the flow while a goroutine asks the kernel for route, source
// address, path MTU and neighbour (resolve.go). The queue builds the frames in chunks of the UMEM, straight from the
// client's MDL chain (build.go), and publishes them; what finds no chunk waits, its data still with the client. Whoever gets
// the kick lock wakes the kernel, reads the completion ring and finds the operations of the chunks that came
// back (kick.go). When the last frame of an operation is back, the trampoline (completions.go) completes its IRP.
//
// # What else can happen
//
// A link that goes down holds its operations (linkstate.go). A device that is deleted fails them and kills the sockets that
// lived on it (device.go). A queue whose completions stop is kicked, then rebuilt (poller.go, rebuild.go).
// Destinations that AF_XDP does not reach go through the kernel socket that every endpoint holds on its port
// (companion.go, slowpath.go).
//
// # Locks
//
// In the order in which they may be taken: a queue's kickMu, a queue's mu, a flow's mu; and on their own: a device's, a
// companion's and a completions' mu. None is held over a completion routine or a system call, except kickMu over the kick.
package datapath
