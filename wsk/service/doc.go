// SPDX-License-Identifier: Apache-2.0

// Package service lets other processes send and receive datagrams through a [wsk.Transport] that this process owns,
// under a policy: the daemon's half of the protocol that package wsk/ipc describes.
//
//	server, err := service.New(service.Config{Transport: datapath, Policy: policy.NewCurrent(p)})
//	go server.Serve(listener, "default")
//	…
//	server.Shutdown(ctx)
//
// A client is a connection of a Unix socket of type SOCK_SEQPACKET, and its session lasts as long as that. Who the
// client is the kernel says; the policy has one grant for it, or none. Everything that a client sends is untrusted:
// each message is checked whole in memory of this process before anything of it is done, and one that breaks a rule of
// the protocol ends its session and touches nobody else. What is only refused (by the policy, a limit, the network) is
// answered with a status and an [ipc.Reason].
//
// # Sending
//
// A SEND of up to 64 datagrams is a job of its socket. Jobs wait in their sockets until it is the turn of their grant
// (package turns), and a socket has only so many frames with the transport at a time that others find room: what waits
// does so in its own socket and not in the transport's queue. Each datagram becomes an operation of the transport by
// [wsk.IRP.Relay], straight from the message it came in, and completes by itself; the reply is sent when all have, or
// after a millisecond with those that have. While a session has more SENDs to read, up to eight replies go out together, so
// that its client wakes once for all; none waits longer than for the work on those SENDs (kept.go).
//
// Of each destination that a socket uses the service remembers that its fields are sound and whether it has been
// reached. Whether the policy allows it is decided by [wsk.FlowGuard], when the transport knows the way.
//
// # Receiving
//
// What the transport delivers is copied into messages at once and released, so nothing of the transport's is ever lent
// to a client. A message goes out when the client has given credit and reads; what comes before waits in the socket, up
// to its buffer, and is dropped and counted after that.
//
// # Waiting
//
// Nothing here waits for a client. A reply that finds the client's socket full ends the session.
package service
