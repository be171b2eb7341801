// SPDX-License-Identifier: Apache-2.0

// Package route knows where a datagram goes: which route, which source address, which MTU, which neighbour with
// which MAC, and which network device with which VLAN tags, all as the Linux kernel of one network namespace has it.
//
// The kernel decides. A route is asked for with RTM_GETROUTE, and answers are cached for as long as nothing has
// changed. For those who send to many destinations, or while routes change, there is a mirror of the kernel's routing
// ([Options.Mirror], [Table.ResolveStanding]), which leaves to the kernel what it can't know: VRFs, multipath,
// encapsulation, learned path MTUs. Devices, addresses and neighbours are mirrored for all: one netlink socket subscribes to changes, a
// goroutine applies them to its private model, and readers see immutable snapshots behind an atomic pointer:
//
//	netlink events ──► reader ──► table goroutine ──► snapshot ──► Device, IsLocal, NeighbourNow …   (no lock)
//	                                   │
//	                                   ├──► generation   one word: "a resolved path may have changed"
//	                                   ├──► waiters      of Neighbour
//	                                   └──► subscribers  of Event
//
// The order is subscribe, dump, replay, so that nothing is missed between the dump and the first event. When the kernel
// reports lost events (ENOBUFS) or an interrupted dump, a whole new model is built and swapped in; readers never see an
// empty table in between. A reading that fails, or is interrupted every time, is done again later: no event would bring
// what it has missed.
//
// # Generations
//
// Who derives something from the table (a flow with ready headers) reads [Table.Generation] first, then resolves, and
// keeps the result for as long as the generation stays the same. The order matters: the table publishes the new
// snapshot before it bumps the generation.
//
// Everything bumps it, also what a path has nothing to do with. An answer of the mirror can be kept for longer
// ([Table.Stands]): it rests on its route, its source, the device that it leaves by with all that this stands on, and the
// MAC of its neighbour, and these are looked at again, in memory, when anything has changed.
//
// # Privilege
//
// Reading needs none. Asking the kernel to resolve a neighbour uses RTM_NEWNEIGH with NTF_USE, which needs
// CAP_NET_ADMIN in the namespace; without it an empty UDP datagram to port 9 (discard) with hop limit 1 makes the
// kernel do the same.
//
// All methods of [Table] are safe for concurrent use.
package route
