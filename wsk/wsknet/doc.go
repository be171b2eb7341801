// SPDX-License-Identifier: Apache-2.0

// Package wsknet has the functions of package net that open UDP sockets, over WSK sockets. A program moves by one line:
//
//	conn, err := net.ListenUDP("udp", addr)    // before
//	conn, err := wsknet.ListenUDP("udp", addr) // after
//
// What is opened is a [UDPConn], which has the methods of *net.UDPConn; package netconn tells what they do.
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
