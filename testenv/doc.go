// SPDX-License-Identifier: Apache-2.0

// Package testenv builds network laboratories out of Linux namespaces and veth pairs, judges what arrives in them,
// and guards tests. Tests, the commands lab, demo, bench and doctor of wsk-xdp, and the examples use it; no package of the
// datapath imports it.
//
// # Topologies
//
// A [Topology] is a value; [NewLab] turns it into namespaces and links in a few milliseconds and returns when every
// link carries and every address can be used. [Direct], the zero value:
//
//	  namespace A                                  namespace B
//	┌───────────────────────────┐                ┌───────────────────────────┐
//	│ wsk0  02:77:00:00:00:0a   │      veth      │ wsk1  02:77:00:00:00:0b   │
//	│       10.77.0.1/24        ├────────────────┤       10.77.0.2/24        │
//	│       fd77::1/64          │    MTU 1500    │       fd77::2/64          │
//	└───────────────────────────┘                └───────────────────────────┘
//
// [Routed] puts a router with default routes from both sides between them, whose far hop may have another MTU:
//
//	  namespace A              namespace R (forwarding)              namespace B
//	┌──────────────┐  MTU   ┌───────────────┬───────────────┐ FarMTU ┌──────────────┐
//	│ wsk0         ├────────┤ ra            │ rb            ├────────┤ wsk1         │
//	│ 10.77.0.1/24 │        │ 10.77.0.254   │ 10.77.1.254   │        │ 10.77.1.2/24 │
//	│ fd77::1/64   │        │ fd77::fe      │ fd77:0:0:1::fe│        │ fd77:0:0:1::2│
//	└──────────────┘        └───────────────┴───────────────┘        └──────────────┘
//
// On top of either, [Iface.Macvlan], [Iface.Bridge] and [Iface.VLAN] stack a device on an end. Interface indices
// differ between the ends on purpose: code that looks an index up in the wrong namespace must fail, and the kernel
// reports carrier changes of a veth at once only when the indices of the two ends differ.
//
// # Judges
//
// [UDPReceiver] is the kernel's UDP stack and the best oracle there is: what it delivers was well formed. [Capture]
// sees the exact bytes, [Decode] and [Reassembler] check them with gopacket and with sums of their own; both are
// independent of package frame. [XDPPeer] is an AF_XDP receiver and reflector over github.com/asavie/xdp, the
// independent other end. [DropCounter] counts in XDP, where counting costs least. [UDPSender] makes the kernel send
// the same datagram, to compare with.
//
// A frame sent through AF_XDP does not pass the taps of the interface that sends it, and a frame that an XDP program
// takes does not reach the taps of the interface that receives it: capture at the receiving end, without a program.
//
// # Leaving nothing behind
//
// Namespaces are anonymous and die with their last file descriptor, links die with their namespaces, XDP programs
// with their links: a process that panics or is killed leaves nothing. Only `lab up` makes named namespaces, see
// [UpNamed].
//
// # Without root
//
// Inside a user namespace of one's own everything but XDP programs works: [RunInUserNamespace] starts a command
// there.
package testenv
