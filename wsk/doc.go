// SPDX-License-Identifier: Apache-2.0

// Package wsk is the Winsock Kernel datagram interface in Go: its meaning, with no I/O of its own. A [Transport]
// below it sends and receives; package wsk/datapath is one over AF_XDP, package wsk/wsktest one in memory.
//
// A client registers ([Register]), captures the provider ([CaptureProviderNPI]), makes a socket
// ([ProviderNPI.Socket]), binds it ([Socket.Bind]) and sends ([Socket.SendTo], [Socket.SendMessages]). It receives by
// passing IRPs ([Socket.ReceiveFrom]), which go first, or by a callback ([ClientDatagramDispatch]); what neither takes
// is buffered, up to SO_RCVBUF. Every asynchronous call takes an [IRP] and returns an [NTSTATUS].
//
// The rules of every call with an IRP:
//
//   - It completes its IRP exactly once, whatever it returns. Only a call that needs an IRP and gets none completes
//     nothing.
//   - A return other than STATUS_PENDING means that the IRP has completed with that very status and that its completion
//     routine has returned. STATUS_PENDING means that it completes sooner or later, perhaps before the return.
//   - IoStatus is set before the routine runs. Information is 0 on failure, save the warning
//     STATUS_BUFFER_OVERFLOW. PendingReturned says whether the call returned STATUS_PENDING.
//   - No lock is held over a routine or a callback: it may call anything here but [Deregister] and [IRP.Wait].
//   - Addresses, control data, option values and Buf structs are read during the call only. MDL chains belong
//     to the provider until completion, output buffers too.
//   - A send completes when its data have left, not when they have been queued. A full ring or an unknown neighbour
//     keeps it pending; it is not an error.
//
// Constants and NTSTATUS values are those of the Windows headers, on every operating system: AF_INET6 is 23,
// SOL_SOCKET 0xFFFF, IP_PKTINFO 19. Never mix them with those of package unix.
// docs/wsk-mapping.md lists the names of C with those used here, and where the two differ.
package wsk
