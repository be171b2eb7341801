// SPDX-License-Identifier: Apache-2.0

// Package mirror keeps a copy of the routing of one network namespace (rules, tables, next hops, addresses, the state
// of devices) and answers from it what RTM_GETROUTE would answer for a UDP datagram: device, next hop, source, MTU. An
// answer is one walk through a trie: no allocation, no lock, no system call.
//
//	events ──► inbox ──► model ──► Snapshot ──► Lookup        dumps ──► model
//
// It knows what it does not know. Where the kernel decides by something that is not announced, or per datagram (a
// multipath hash, the state of a neighbour, RFC 6724 among several addresses, learned path MTUs, VRFs, encapsulation),
// or where there is no route at all, [Snapshot.Lookup] returns a [Reason] instead of an answer: the kernel must be
// asked then.
//
// # Identity
//
// A prefix leads to a [Hop]: device, gateway, MTU and source as they follow from the devices and addresses of now. A
// Hop never changes, and keeps its identity from snapshot to snapshot for as long as nothing of it changes. Who derives
// something from a Hop may keep it while the look-up yields the same pointer; a change of other routes costs nothing
// but the look-up.
//
// # What is not announced
//
// The kernel takes routes out without a word: IPv4 routes when their device goes down or loses its last address, and
// all routes of a next hop object when that goes. The model does the same with the event that goes before
// (model_flush.go). Where it can't know how the kernel has decided, it asks for a new dump and answers nothing about
// that family until it has it.
//
// One thing is neither announced nor dumped: IPv4 takes no notice of a gateway that was an address of the host when the
// route was made. The mirror knows of addresses that it has seen; of a route that is older than it, whose gateway was
// the host's own at that time and isn't any more, it answers the gateway, where the kernel takes the destination to be
// on the link.
package mirror
