// SPDX-License-Identifier: Apache-2.0

// Package receive is the way of a frame from the RX ring of a queue to the endpoint that it is for. It knows nothing
// of sending, of companion sockets, and of how a program gets onto an interface.
//
// In the middle stands the Hub: who receives what (porttable.go), in what memory outside the UMEM (buffers.go). Above
// it an Intake is an interface: its XDP program, which redirects what bound endpoints own (ports.go), and the
// identity that its frames are judged by (identity.go). A Queue receives on one socket after the other; each has a
// receiver.
//
// The goroutine of a receiver takes frames off the RX ring in batches (receiver.go), checks lengths and checksums
// once more, finds the sinks by the most specific binding (frame.go) and hands over lists of one cast (delivery.go,
// sink.go). Unless frames come fast (linger.go) it sleeps in the runtime's poller, on a socket of its own, because
// poll on a socket that sends would transmit (wait.go).
//
// A payload lies in its chunk of the UMEM until it is released (lend.go). A datagram that is kept leaves the UMEM
// when fewer than a quarter of the chunks are free; below an eighth copies are delivered in the first place, so that
// no client can run the ring dry. Every further receiver of a group's or broadcast datagram gets a copy. When the
// socket of a queue is replaced or closed, its queue is free at once and its memory stays until the last datagram of
// it has come back.
//
// Checksums are verified here, for AF_XDP knows nothing of what the NIC found. On veth, bridge, macvlan, tun and
// dummy devices a local sender leaves the UDP checksum to a device that never comes: the field then holds the sum of
// the pseudo-header only. That is accepted on such devices, where no wire was passed, and counted as Partial;
// elsewhere it is a wrong checksum. Frames for other stations (promiscuous mode) are dropped here, as the kernel
// would.
//
// The program sees frames before the host's stack does. The reverse path filter is asked about (rules.go), ports that
// IPsec or a VRF keeps for the kernel are not in the program; netfilter sees nothing of what the program takes.
package receive
