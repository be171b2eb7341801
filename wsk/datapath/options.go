// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Options of a datapath. The zero value serves the caller's network namespace with every default.
type Options struct {
	// NetNS is a file descriptor of the network namespace to work in; 0 is the namespace of the calling thread. Another
	// namespace than the process's own needs CAP_SYS_ADMIN there. The descriptor is duplicated.
	NetNS int
	// Interfaces are opened at once, and Open fails when AF_XDP cannot be had on one: no queue of it is free, it is of a kind
	// that does not carry frames as it carries the kernel's, or the queue takes no packets of its MTU (above 4010 that needs
	// frames of several chunks, which Linux has since 6.12). Every other interface is opened when the first datagram is routed through it, and replaced by the kernel's own stack where
	// AF_XDP is not to be had: Info.SlowReasons says why.
	Interfaces []string
	// StandIn has the kernel's own stack send what is sent while the queue of an interface is being opened, which takes
	// milliseconds: the first datagram through an interface leaves at once. Where opening a queue takes the interface down for a
	// moment, as drivers with zero-copy do, it waits for the queue all the same. Order is kept to each destination. Info.SlowReasons
	// counts these ways as "opening". Without it every datagram waits for the queue.
	StandIn bool
	// KernelStack sends everything through the kernel's own stack and opens no AF_XDP socket to send through, so that what
	// sends does not change while the datapath is open. It goes with no Interfaces.
	KernelStack bool
	// Receive are interfaces whose datagrams are received through AF_XDP: an XDP program is attached to each, and every
	// receive queue gets a socket. Open fails where that is not to be had, on a bond, whose ports are to be named instead, and where
	// the program would not see VLAN tags. A NIC that takes tags out of frames (rx-vlan-offload) leaves them in until Close.
	// Everything else, and everything when there are none, is received through the kernel's stack.
	//
	// Where the interface's MTU, when it is opened, lets frames be longer than a chunk holds (3840 bytes of 4096), these come in several
	// chunks, in order with the short ones: where the kernel has that in copy mode (XDP_USE_SG), and in zero-copy the driver too. Elsewhere
	// they come through the kernel's stack, and short ones of the same flow may overtake them.
	Receive []string
	// ReceiveMode is where those programs run: native, generic, or native if possible, which is the default.
	ReceiveMode bpf.Mode
	// ReceiveTagsUnseen allows receiving where the program does not see the VLAN tag of a frame, so that a datagram of any VLAN counts
	// as untagged: on bridges and macvlans, on veth in generic mode, on a NIC that does not leave tags in frames. It is for links on
	// which nobody sends tagged frames. ProgramInfo.TagsUnseen tells.
	ReceiveTagsUnseen bool
	// SpreadReceive makes the NICs of Receive choose the queue of a UDP datagram by its ports too, as ethtool -N … rx-flow-hash
	// udp4 sdfn does, so that the flows between two hosts come in on all queues. Many NICs hash the addresses alone. What
	// was set before is restored by Close.
	SpreadReceive bool
	// BusyPoll makes the receiving goroutines run the driver for so long at a time instead of sleeping until frames
	// come: lower latency for a processor per queue. 0 sleeps.
	BusyPoll time.Duration
	// ReceiveCPUs are the processors that the receiving goroutines of queues 0, 1, … keep to, in turn, each on a thread of its
	// own until Close: for BusyPoll, and where the interrupts of the queues are bound as well. Without BusyPoll a goroutine that is bound pays
	// a change of threads whenever it wakes. nil leaves them to the schedulers. Open fails where this process may not use one.
	// What sends keeps to the thread of its caller.
	ReceiveCPUs []int
	// Queues is the number of transmit queues to use on each interface, 0 for one, and no more than it has in use. Sockets are
	// spread over them.
	Queues int
	// Socket is the form of every AF_XDP socket: mode, sizes, budget. Interface and queue are filled in. What concerns
	// receiving counts on the interfaces of Receive only; there RxChunks is 2048 when it is 0.
	Socket xdp.Options
	// Checksum is who computes UDP checksums; ChecksumAuto, the default, is this side except on a zero-copy NIC that can. It sets
	// Socket.Offload.
	Checksum ChecksumMode
	// StallTimeout is how long a queue with frames under way may see no completion at all before it is taken
	// to have lost them: it is then kicked once more, and after as long again rebuilt. 0 means 10 seconds.
	StallTimeout time.Duration
	// NeighbourTimeout bounds the wait for an ARP or ND answer. 0 means the routing table's default.
	NeighbourTimeout time.Duration
	// AssumeNoIPsec says that the host has no IPsec policies, for a process without CAP_NET_ADMIN, which may not read them. Otherwise
	// such a process sends through the kernel's stack, which knows them; Info.SlowReasons says "ipsec-unknown", and Open fails with
	// Interfaces. What the host encrypts would leave in clear where this is not true.
	AssumeNoIPsec bool
	// LowGear keeps every queue in the gear in which each send kicks for itself (see internal/send/load.go): lowest latency, no second
	// processor, about half the rate.
	LowGear bool
	// NoConntrack leaves the connections alone that the kernel tracks for its firewall: everything that AF_XDP can carry goes
	// over AF_XDP. Without it, and where connections are tracked, the kernel's own stack sends the first datagram to each
	// destination and one about every ten seconds after it, so that a rule like `ct state established accept` lets the
	// answers in: Info.Opened counts them. What the rules for output refuse then ends in STATUS_ACCESS_DENIED, and a
	// destination whose addresses the kernel translates (NAT) stays with it. Package conntrack of wsk/route says how it is found
	// out. On interfaces of Receive answers come past the firewall, and nothing is done.
	NoConntrack bool
	// Inherited is asked when a socket is bound to an address with a port: a UDP socket of the kernel that a process before
	// this one has left bound to it, to be used instead of a new one, or -1. The descriptor belongs to the datapath from then
	// on. An IPv6 one was bound with the IPV6_V6ONLY that the new socket has. nil: there is none.
	Inherited func(local netip.AddrPort) (fd int)
	// KernelBuffer is how many bytes the kernel queues for each companion socket, of what comes through its stack; a small
	// datagram counts as about 768. More than net.core.rmem_max takes CAP_NET_ADMIN, without which it is that. 0 means 1 MiB, or
	// net.core.rmem_max where that is less. A socket whose SO_RCVBUF is set has that instead.
	KernelBuffer int
	// Logger receives what an operator should know, never anything per datagram. nil discards.
	Logger *slog.Logger
}

const defaultStallTimeout = 10 * time.Second

func (o *Options) setDefaults() {
	if o.StallTimeout <= 0 {
		o.StallTimeout = defaultStallTimeout
	}
	if o.Queues <= 0 {
		o.Queues = 1
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}
