// SPDX-License-Identifier: Apache-2.0

// Package ipc is the protocol between the daemon that owns the NIC's queues and its clients: every message byte by
// byte, and every check of a number that the other side has chosen. It does no I/O.
//
// # Transport
//
// A session is one connection of a Unix socket of type SOCK_SEQPACKET, so the kernel keeps messages apart: one send
// is one message, one receive is one message. A message has at most [MaxMessage] bytes. Nobody sends an empty one,
// which could not be told from the end of the session, and nobody sends descriptors or other control data.
//
// Numbers are little-endian and lie on multiples of their size, counted from the beginning of the message (64-bit
// ones on multiples of 8). An address is 16 bytes in network byte order, an IPv4 one v4-mapped (::ffff:a.b.c.d), and
// the unspecified IPv4 address is ::ffff:0.0.0.0. A port is a number like all others. What is reserved is 0. Each
// structure has one encoding only: what decodes encodes to the same bytes again.
//
// # Messages
//
// Each begins with a [Header] of 16 bytes. A client sends requests; the daemon answers each with a reply, which
// carries the sequence number and the socket of the request, in any order, and sends notifications of its own accord,
// with sequence number 0. CREDIT is the one request without a reply, and its sequence number is 0. A SEND may have
// several replies; the last says that nothing is left ([Done]).
//
// A reply whose status is 0 has the body of its type. Any other status is a failure NTSTATUS (0xC0000000 and above),
// and the body is a [Failure]: a [Reason], whose number never changes, and a sentence for people.
//
// The first message of a client is HELLO ([Hello], answered by [Welcome]); it has [HelloTimeout] for it. The client
// numbers its sockets itself, from 1 to 2³²−1, in the header of OPEN; the number is free again after the reply to
// CLOSE, and after a failed OPEN. Until that reply RECV messages for the socket may still arrive.
//
// # Limits
//
// At most [MaxRequests] requests of a session other than SEND may be without a reply, and at most [MaxSends] SENDs of
// a socket. RECV messages need credit, one each; at most [MaxCredit] may be outstanding. The daemon never waits for a
// client: one that does not read until its socket is full is disconnected.
//
// # Untrusted numbers
//
// Decode methods take the whole body, fetch every field once into a structure of the caller's, check it there, and
// refuse what is wrong with a [*Violation], which names the rule. What they accept is in the range that its
// documentation gives: a length lies in the message, a count fits its array, an enumeration has a meaning, reserved
// bytes are 0. What only the receiver can know it checks itself: whether a socket is open, a sequence number in use,
// a destination allowed. A violation ends the session and nothing else. After an error the structure holds nothing of
// use.
//
// Payload slices of a decoded message lie in the message itself, so the caller keeps it until the last has been used.
// It must be private memory: in memory that is shared, the other side could change what has been checked.
//
// # Versions
//
// HELLO carries a major and a minor version. Majors must be equal. The session speaks the smaller of the two minors,
// and no side sends a message, a flag or a feature of a later one. A minor adds, and changes nothing; bytes that are
// reserved, and 0, may get a meaning with a feature bit that both sides have set.
//
// docs/protocol.md is the same for authors of clients in other languages.
package ipc
