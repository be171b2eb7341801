// SPDX-License-Identifier: Apache-2.0

// Package nic asks the kernel about a network interface: what it is, what its driver can do for AF_XDP, how many queues
// are in use, which processes hold them with AF_XDP sockets, and by which header fields the NIC spreads UDP over them.
// It opens no AF_XDP socket; package xdp does, and asks here first.
//
//	Inspect        everything that is known of an interface, for a user who wants to know what AF_XDP can do there
//	FindLink       index, name and queues: what opening a socket needs
//	DeviceOf       the XDP and AF_XDP features of the driver
//	FindHolders    the AF_XDP sockets on an interface and their processes
//	UDPFlowHash    the header fields by which the NIC chooses the receive queue; SetUDPFlowHash changes them
//
// # Where, and with what privilege
//
// Every function asks in the network namespace of the calling thread, and can be called from any goroutine at any time:
// the package keeps nothing between calls and has no lock. All but SetUDPFlowHash only read and need no privilege,
// though FindHolders sees the processes of other users only with it. Each call is one or more system calls and
// allocates: they are for setting up and for diagnosis.
//
// # What is not known
//
// A fact that cannot be had is not guessed. It comes with the error that says why, and errors.Is finds ErrNotSupported
// in it where the kernel or the driver does not know the question; the text of a [FeatureError] names the kernel that
// does. Linux 5.10 or later; netdev-genl, which tells most, came later, and rtnetlink and ethtool are asked in its
// place.
//
// What the kernel answers is parsed with every length checked, and names that a process chose are made printable.
package nic
