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
// Checksums are computed while the payload is copied, or left to a NIC or kernel that was granted and has proved that it
// completes them (offload.go, prover.go): two probes, of which the first hop's ICMP errors quote what arrived (proof.go, quote.go).
//
// # A datagram arrives
//
//	frame ──► XDP program of the interface ──► RX ring of the queue ──► rxSocket ──┐
//	              │ not ours, fragments, options, tagged otherwise …               ├──► wsk.Receiver
//	              └──► the kernel's stack ──► companion socket ──► reader ─────────┘
//
// On the interfaces of Options.Receive a program redirects what the bound endpoints own (intake.go, ports.go). A goroutine per queue
// takes frames off the RX ring in batches, checks lengths and checksums once more, finds the endpoint by the most specific
// binding (rxframe.go, demux.go) and hands over lists of one cast (delivery.go). Unless frames come fast (rxlinger.go) it sleeps in
// the runtime's poller, on a socket of its own, because poll on a socket that sends would transmit (rxwait.go). Everything else, and everything
// where there is no program, comes through the endpoint's kernel socket (companionrecv.go): reassembled fragments, IP options,
// extension headers, frames above the chunk size, loopback, other interfaces, ICMP errors. Between the two ways there is no
// order; within each, that of arrival. Neither buffers: that is the socket above, and the kernel below.
//
// A payload lies in its chunk of the UMEM until it is released (lend.go). A datagram that is kept leaves the UMEM when fewer than
// a quarter of the chunks are free; below an eighth copies are delivered in the first place, so that no client can run the ring
// dry. Every further receiver of a group's or broadcast datagram gets a copy. When the socket of a queue is replaced or closed,
// its queue is free at once and its memory stays until the last datagram of it has come back.
//
// Checksums are verified here, for AF_XDP knows nothing of what the NIC found. On veth, bridge, macvlan, tun and dummy devices a
// local sender leaves the UDP checksum to a device that never comes: the field then holds the sum of the pseudo-header
// only. That is accepted on such devices, where no wire was passed, and counted as Partial; elsewhere it is a wrong checksum.
// Frames for other stations (promiscuous mode) are dropped here, as the kernel would.
//
// # Ports, sharing, groups
//
// Every endpoint holds a kernel socket on its address and port, so no other program gets them, and the kernel's own ports are
// refused to us. Winsock's sharing matrix is applied among the endpoints of one Datapath (sharing.go). Among sockets that share, a
// unicast datagram goes to the most specific binding and of equals to the latest, whichever way it came; a
// broadcast to all that are bound to any address; a group's datagram to all that have joined it on that interface and want
// its source. A membership is real: the kernel joins too (membership.go), through a socket on the group where the endpoint is
// bound to one unicast address (groupsocket.go). Unlike on Windows, an endpoint bound to one address gets no broadcasts, as the
// kernel socket would not.
//
// The program sees frames before netfilter and the reverse path filter do: what it takes is not subject to either.
//
// # Zero-copy
//
// A queue is opened on the highest rung that options, program and driver allow (ladder.go): zero-copy, then copy. Each is
// asked for by name, woken once to see whether the driver serves it, and read back; [Info] tells. For zero-copy an interface
// that is not received on gets an XDP program that passes everything (supply.go), for the driver's sake and the host's: attaching it
// may take the link down for seconds, which is waited out and told (carrier.go). With [xdp.ModeCopy] nothing is attached. Close takes off
// what was put on.
//
// A zero-copy queue receives into our memory whether we receive or not, so a queue that only sends gives it some; what no program
// redirects is copied to the host by the driver. What a kick means is another thing than in copy mode (zerocopy.go): it never
// names a frame, a driver in a reset may say that the device is gone, and without carrier frames wait in the ring in silence. The
// queue then holds its operations, pending and cancellable, as on a link that is down. A queue that the driver does not serve any
// more is rebuilt; for some seconds it insists on zero-copy, then copy mode will do.
//
// # What else can happen
//
// An interface of Options.Receive that goes and comes back, as one whose driver is bound anew, is received on again (revive.go).
// Its program, taken off by force, is put back (programguard.go).
// A link that goes down holds its operations (linkstate.go). A device that is deleted fails them and kills the sockets that
// lived on it (device.go). A queue whose completions stop is kicked, then rebuilt (poller.go, rebuild.go).
// Destinations that AF_XDP does not reach go through the kernel socket that every endpoint holds on its port
// (companion.go, slowpath.go).
//
// # Locks
//
// What each lock guards, after which others it is taken and over what it is held is a table, internal/locks/locks.go, and
// every test that runs with -race is held to it (package lockrank). No lock is held over a delivery, and none over a
// completion routine but the one that says that a proof runs on a device, by the goroutine of that proof.
package datapath
