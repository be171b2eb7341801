// SPDX-License-Identifier: Apache-2.0

// Package client is a [wsk.Transport] over a session with the daemon (wsk-xdp daemon), for programs that have neither
// NIC queues nor capabilities. Sockets, IRPs, control data and package netconn run over it as over a datapath of the
// process's own; a program chooses with one line:
//
//	wsk.Default().Attach(client.Open(client.Options{}), wsk.ProviderOptions{})
//
// # Sessions
//
// Nothing is connected until the first Bind, or the first question about addresses. A transport has one session at a
// time that takes sockets; one that the daemon has said goodbye to goes on beside it until its sockets are closed. When
// the daemon ends a session, or goes away, everything of it ends once in STATUS_FILE_FORCED_CLOSED: what waits here, what
// is under way there, and each socket, which is to be closed. The next socket that is bound connects again.
//
// # Sending
//
// Datagrams go to the daemon in messages of up to 64, as many as there are when the connection is free: a program that
// sends one now and then has each sent at once, one that has many under way pays for a system call per 64. At most 16
// messages of a socket are under way; what is more waits in the client, in order, its payload still in its MDL. An IRP
// completes when the daemon says that its frames have come back from the NIC. Cancel takes back what still waits, here
// or in the daemon; what has left completes as it would have.
//
// # Receiving
//
// Each socket has a goroutine that hands up what arrives. One that is slow fills its own credit, and then the buffer
// that the daemon has for it (SO_RCVBUF), and no other.
//
// # Refusals
//
// What the daemon's policy refuses ends in a failure status, and Options.OnRefusal is told the reason: a number and a
// name that never change (docs/protocol.md).
//
// # Goroutines and locks
//
// A session has three goroutines: one writes messages, one reads them, and one runs completion routines; each socket that
// receives has one more. The mutex of the session guards everything of it and its endpoints; payloads are copied, and
// routines and callbacks run, without it. That of the transport is taken before it; those of what is received, and of
// the pool of loans, after it.
package client
