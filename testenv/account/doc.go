// SPDX-License-Identifier: Apache-2.0

// Package account judges whether every datagram is accounted for.
//
//	sender ──► Book: what became of each sequence number, by its IRP or errno
//	                                       │
//	receivers ──► Arrivals: how often      ├──► Judge ──► Verdict: sent, ok, failed, arrived, explained by …,
//	each came, in which order, intact      │                       unexplained, pending
//	                                       │
//	Counters and Drops: who says that he has dropped some
//
// A datagram that was sent with success and did not arrive needs somebody who says that he has dropped it: a drop that the kernel
// told of with the datagram in it ([Trace]), or a counter that moved ([Counters]); each step of a counter explains one. What is left is
// unexplained, as is a datagram that came twice, came changed, or came although its status says that it was not sent.
//
// The judge is pure. What reads sockets, counters and tracepoints needs Linux and a namespace of package testenv.
package account
