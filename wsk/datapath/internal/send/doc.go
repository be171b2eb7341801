// SPDX-License-Identifier: Apache-2.0

// Package send is the way of an operation from its destination to its completion. It knows nothing of receiving and of how an
// interface is opened: a queue sees its interface as a [Device] and its other half as a [ReceiveHalf].
//
// [Source.Send] finds the flow of the destination (flow.go). A flow whose way is known passes the operation to its queue
// (queue.go); otherwise the operation waits in the flow while a goroutine asks the kernel for route, source address, path MTU
// and neighbour (resolve.go). The queue builds the frames in chunks of the UMEM, straight from the client's MDL chain
// (build.go), and publishes them; what finds no chunk waits, its data still with the client. Whoever gets the kick lock wakes
// the kernel, reads the completion ring and finds the operations of the chunks that came back (kick.go). When the last frame
// of an operation is back, the trampoline of package ops completes its IRP.
//
// Under load a sender kicks once for a burst (load.go), and one goroutine for all queues looks for bursts that do not fill
// (tailwatch.go). Each queue has a goroutine that looks after what a send has left behind (poller.go).
//
// Checksums are computed while the payload is copied, or left to a NIC or kernel that was granted and has proved that it
// completes them (offload.go).
//
// # What can happen
//
// A link that goes down holds its operations, pending and cancellable (linkstate.go). A queue whose completions stop is
// kicked, then rebuilt (poller.go, rebuild.go).
//
// In zero-copy mode a kick means another thing than in copy mode (linkstate.go): it never names a frame, a driver in a reset
// may say that the device is gone, and without carrier frames wait in the ring in silence. The queue then holds its
// operations as on a link that is down. A queue that the driver does not serve any more is rebuilt.
package send
