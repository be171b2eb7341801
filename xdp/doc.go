// SPDX-License-Identifier: Apache-2.0

// Package xdp drives AF_XDP sockets: the shared memory of frames (UMEM), the four rings, the life cycle of the socket,
// its wake-ups, its statistics, and the probes that say what a machine can do. It sees frames as bytes and addresses
// and knows nothing of UDP. What can be asked of an interface without opening a socket on it is in package xdp/nic.
//
// It needs Linux 5.10 or later. Where a feature is said to need a kernel, that is the oldest tried that has it, see
// docs/kernels.md.
//
// # The four rings
//
//	ring            entries         written by   read by   meaning of an entry
//	TxRing          Desc            this side    kernel    send this frame
//	CompletionRing  chunk address   kernel       this side the kernel is done with this chunk
//	FillRing        chunk address   this side    kernel    receive into this chunk
//	RxRing          Desc            kernel       this side a frame was received here
//
// Rings are written with Reserve, Set, Submit and read with Peek, At, Release. Their arithmetic is free of system calls
// and works over any memory; package xdptest plays the kernel over plain Go memory. Cursors are free-running uint32:
// the number of used entries is producer − consumer, also across 2³².
//
// # Ownership
//
// A chunk is in exactly one place. What the caller has not submitted is the caller's. From the Submit that publishes
// its descriptor until its address is read from the completion ring a TX chunk belongs to the kernel and must not be
// touched. A completion says only that the kernel is done with the chunk, not that the frame left: in copy mode a frame
// that the device dropped completes too, and the EBUSY of the Kick is the only sign of it (see [ClassifyKick]). Chunks
// with an index below TxChunks are for sending, the others for receiving; the two never mix.
//
// # Concurrency
//
// Each ring has one user at a time; two rings may be used by two goroutines. A second goroutine may read the consumer
// of a TxRing while its producer works. Kick, WakeRX, Statistics and Close of a [Socket] may be called from any
// goroutine at any time. Close waits for the calls that are in the kernel, then unmaps: by then no goroutine may use a
// ring or bytes of the UMEM.
//
// Rings, UMEM and the calls that go to the kernel take no lock. A Socket has two, of which neither is taken while the
// other is held, and a count of the calls in the kernel, which refuses new ones from Close or Detach on:
//
//	lock                guards                       taken after   held over
//	Socket.detachOnce   rings, descriptors, their    nothing       the wait for the calls in the kernel,
//	                    one Detach and its error                   munmap of the rings, close
//	Socket.closeOnce    mapping of the UMEM, the     nothing       munmap of the UMEM
//	                    one Close and its error
//
// # Wake-up
//
// In copy mode nothing is sent without a [Socket.Kick]. In zero-copy mode the driver asks for one through the
// need-wakeup flag, and its errno says whether it serves the queue, never what became of a frame (see
// [ClassifyZeroCopyKick]). A Kick that returns 0 has not necessarily drained the ring: look at TxRing.Pending.
package xdp
