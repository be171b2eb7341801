// SPDX-License-Identifier: Apache-2.0

// Package bpf holds the XDP program that hands the datagrams of bound WSK sockets to AF_XDP sockets, its compiled objects, and
// a typed loader.
//
//	frame ──► XDP program ──► {family, destination, port} in ports? ──► AF_XDP socket of the queue
//	              │                     │ {family, any, port}, and destination in local
//	              └── everything else: XDP_PASS, to the kernel, unchanged
//
// # What is redirected
//
// Whole UDP datagrams over IPv4 without options or IPv6 without extension headers, untagged or with one 802.1Q tag, whose
// destination a port entry owns. The most specific entry decides. An entry for an exact address takes that address, be it
// unicast, a joined group, or broadcast. An entry for any address (0.0.0.0 or ::) takes the addresses of
// [Program.SetLocalAddresses], so that a router's forwarded traffic is left alone, and groups and broadcasts only with
// [MatchMulticast] and [MatchBroadcast].
//
// # What is passed
//
// Everything else, by XDP_PASS: the program drops nothing and changes nothing. ARP, neighbour discovery, ICMP, TCP and other UDP
// ports; fragments, options and extension headers, which the kernel reassembles and understands, and which reach the
// companion socket; lengths that contradict each other; UDP without checksum over IPv6; addresses that the kernel refuses from the
// wire (loopback, unspecified, a group as source, over IPv4 the host's own as source), so that it refuses them; frames longer than
// [Options.MaxFrame]; what may be several datagrams in one (see below); and what is owned while its queue has no socket. [Reason]
// numbers these cases and [Program.Counters] counts them.
//
// Checksums are not looked at: that is the receiver's, who also knows that a veth delivers partial ones. Neither is the destination
// MAC address: on an interface in promiscuous mode the receiver has to compare it where that matters. Nor does the kernel's
// reverse path filter see what is redirected. A frame that was redirected while the socket's fill ring was empty is lost; the
// kernel counts it in the socket's statistics.
//
// # Datagrams that are not cut yet
//
// A sender may leave it to its device to cut one buffer into datagrams (UDP_SEGMENT, which QUIC uses), and a device may merge what it
// receives (rx-udp-gro-forwarding). On the way from a container or a guest of the same machine such a buffer is cut only
// in front of a program in the driver. In generic mode, and on tun devices in any, the program gets it whole, as what looks like one
// long datagram. It then passes every frame that leaves its checksum open, as these buffers all do, and the kernel cuts them. The feature
// rx-gro-list merges datagrams with closed checksums and must be off there, as it is by default.
//
// # VLANs
//
// A tag of VLAN 0, which carries a priority only, is as good as none. Other tagged frames are taken if [Program.SetVLANs] named
// their VLAN, and reach the socket with their tag; all others pass. Where the NIC strips tags (ethtool feature rx-vlan-hw-parse), or
// where a veth's peer leaves them to hardware that is not there (tx-vlan-hw-insert), or where the interface is a bridge or a macvlan,
// the tag travels beside the frame. XDP sees it only in a program that is bound to the interface ([Options.Ifindex]), which passes such
// frames. To any other the frame looks untagged, is matched as untagged, and reaches the socket without its tag.
//
// # Maps
//
//	map              key                            value                     written by
//	wskxdp_xsks      queue                          AF_XDP socket             SetSocket, ClearSocket
//	wskxdp_ports     {address, port, family}, wire  Flags                     AddPort, RemovePort
//	                 order; address 0: any
//	wskxdp_local     the same with port 0           unicast or broadcast      SetLocalAddresses, SetBroadcastAddresses
//	wskxdp_vlans     VLAN / 64                      a bit for each VLAN       SetVLANs
//	wskxdp_merged    0                              1: may not be cut yet     Attach
//	wskxdp_counters  0                              64-bit counters per CPU   the program
//
// One Program serves one interface: its addresses, VLANs and queues are those of that interface. A Program without
// ports passes everything, which is what drivers need that want a program before they give zero-copy.
//
// # Life and privilege
//
// The program is attached by a bpf_link, so that it is gone when the process is, and never in place of another: see
// [ConflictError]. Loading and attaching need CAP_BPF, CAP_NET_ADMIN and mostly CAP_PERFMON outside user namespaces, and Linux 5.10. The
// variant for frames of several buffers is loaded where the kernel takes it: it came with Linux 5.18, and the oldest
// kernel tried that has it is 6.1, which is what docs, errors and options of this package name.
//
// Without CAP_PERFMON the verifier allows neither the difference of two packet pointers nor variable offsets into packets. A strict
// variant does without both, since Linux 5.18 has a helper that tells the length of a frame, and is loaded where the others are refused.
// Linux 6.12 and newer ones take it without CAP_PERFMON; 6.1 does not, whose verifier then allows no part of a saved pointer's place on the
// stack to be written to, as the compiler has it done. In between none was tried.
// It does not know where the first buffer of a frame ends, so it takes frames of one buffer, or any for sockets that do
// (Options.MultiBuffer). The kernel puts barriers against speculation into it: on 6.18, BPF_PROG_TEST_RUN, a frame that is owned takes 164 ns
// instead of 39, and one for another port 111 instead of 25.
//
// The objects are committed. scripts/generate.sh builds them anew with the pinned clang, scripts/generate.sh --check tells whether
// they are what the source gives.
package bpf
