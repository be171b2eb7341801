// SPDX-License-Identifier: Apache-2.0

// Package wsknet has the functions of package net that open UDP sockets, ListenUDP, DialUDP, ListenPacket and DialContext,
// over WSK sockets. For most programs changing one line is enough:
//
//	conn, err := net.ListenUDP("udp", addr)    // before
//	conn, err := wsknet.ListenUDP("udp", addr) // after
//
// What is opened is a [UDPConn], which has every method of *net.UDPConn except File, and is a net.PacketConn and a net.Conn;
// package netconn tells what the methods do. Code that names the type *net.UDPConn has to name an interface instead. There is no
// ListenMulticastUDP: groups are joined by [netconn.NewPacketConn4] and [netconn.NewPacketConn6].
//
// # The stack below
//
// The functions of the package share a stack that is opened by the first of them and closed with the last of its
// connections, one for each network namespace: like those of package net they work in the namespace of the calling
// thread. It is [Open] with the zero Options, so it sends through AF_XDP where the route leads to an interface that
// carries it, and receives through the kernel.
//
// Opening a stack reads the host's routes, so a program that dials for every query holds one that it has opened itself.
// [Stack] has the same functions as methods, and [Options] are what a stack can be asked for: interfaces to receive
// through AF_XDP, queues, or the queues of a daemon.
package wsknet
