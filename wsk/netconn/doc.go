// SPDX-License-Identifier: Apache-2.0

// Package netconn is net.UDPConn over a WSK datagram socket. A [Conn] has the methods of *net.UDPConn but File,
// with the same meaning, so that a program which sends and receives UDP can be moved to it by
// changing the line that opens its socket, and the places that name the type *net.UDPConn:
//
//	conn, err := net.ListenUDP("udp", addr)                               // before
//	conn, err := netconn.Listen(npi, "udp", addr.AddrPort(), netconn.Options{}) // after
//
// npi is a captured provider; [Capture] gets one in one call. Whether its datagrams go through queues of the process's
// own or those of a daemon is one line, too (see the example "daemon"). The package uses nothing but the public
// functions of package wsk and so shows how they are used: an IRP for every call, the caller's slice as MDL, IoCancelIrp
// for a deadline. It builds on every operating system.
//
// # What is as in package net on Linux
//
// Addresses and networks: "udp" on a wildcard is one dual-stack socket, whose IPv4 senders appear v4-mapped; a
// destination 0.0.0.0 or :: means the host itself; SO_BROADCAST is on. A datagram longer than the buffer is cut without
// an error; the ReadMsg forms report MSG_TRUNC. Control messages have the layout and the numbers of Linux, so that
// syscall.ParseSocketControlMessage and the parsers of golang.org/x/net read and write them. A connected Conn reads
// ICMP errors as ECONNREFUSED and the like. Errors are *net.OpError; see [StatusError] for what is inside.
//
// A write copies the datagram and returns what the kernel's socket would have returned, as soon as that is known: an
// error for a destination without a route, a datagram that is too long, or an ICMP error that no read has met; success
// for a neighbour that does not answer and a link without a carrier. What waits to leave is bounded (Options.WriteBuffer):
// a write waits for room, until its deadline. Options.Strict is the other form, which says what has become of each.
//
// # What is not
//
//   - Where the write buffer is full, what waits for a neighbour or a link makes room, the oldest first. The kernel's
//     socket would wait until the neighbour is given up. [Conn.Failed] counts what did not leave.
//   - What a device without a carrier drops is tried again, for three seconds.
//   - Close waits until what was written has left, a tenth of a second for neighbours and a second for all; what has not
//     left then is lost. The kernel's goes on behind the close.
//   - With Options.Strict the provider reads from the caller's slices until the write returns. A
//     write whose deadline comes when the kernel already has the frame waits for the kernel and then reports success; a
//     datagram that still waits in the provider (for a neighbour, a chunk, the link) is taken back.
//   - Through a daemon, and while the queue of an interface is being opened, that a datagram is refused is known after its
//     write has returned: the next write to the same destination says so.
//   - There is no descriptor to read from, so no File, and [Conn.SyscallConn] gives one for options alone. [Conn.Socket] is
//     the WSK socket for what has no option of Linux here, such as multicast memberships.
//   - IPv6 zones are interface indices in decimal where package net has names, since the names may be those of another
//     network namespace. Both are understood, see Options.InterfaceIndex.
//   - A connection dialled without a local address is bound to the wildcard; its LocalAddr is the source address that
//     the route preferred when it was dialled.
//   - Over AF_XDP what is written meets no rule of the host's firewall and no tcpdump of the interface, but for the first
//     datagram to each peer where the firewall is a stateful one; so its answer gets in. docs/host.md says
//     what is bypassed and what is not.
//   - On a dual-stack Conn the control messages of an IPv4 datagram are those of level IPPROTO_IP.
package netconn
