// SPDX-License-Identifier: Apache-2.0

package wsk

// The receiving half of the transport contract. ReceivingEndpoint is in transport.go, with the sending half.

// Receiver is the part of a socket that takes what arrives. The EndpointEvents of a datagram socket implement it.
type Receiver interface {
	// Receive takes over a list of datagrams that have arrived for the endpoint, in the order of their arrival, linked
	// by Next. All datagrams of one list have the same Cast. The transport calls it from any goroutine, from several at
	// once (one for each receive queue and one for the companion socket), with no lock held, and only between the
	// success of Bind and the return of Close. The receiver must call Release on each datagram exactly once, in any
	// order, from any goroutine, also after Close.
	Receive(list *Datagram)
}

// Address is a remote address as it came from the wire: an IPv4 one is v4-mapped, Port is in host byte order, Scope is
// the interface index of a link-local address and 0 otherwise.
type Address struct {
	Addr  [16]byte
	Scope uint32
	Port  uint16
}

// Cast says how a datagram was addressed.
type Cast uint8

// Casts. Broadcast includes a link-layer broadcast frame with a unicast IP destination.
const (
	Unicast Cast = iota
	Broadcast
	Multicast
)

// Datagram is one received datagram, or one ICMP error that an earlier send has met. The transport owns the structure
// and the payload's memory and lends both until Release.
type Datagram struct {
	// Next links the datagrams of one call of Receive. After the call it is the receiver's to use.
	Next *Datagram
	// Payload is the UDP payload, contiguous, read-only for the receiver, valid until Release.
	Payload []byte
	// Source is the sender; for an error, the destination of the send that has failed.
	Source Address
	// Destination is the local address that it was sent to; an IPv4 one is v4-mapped.
	Destination [16]byte
	// IfIndex is the interface that it came in through.
	IfIndex uint32
	TTL     uint8 // TTL or hop limit
	TOS     uint8 // the whole TOS or traffic class byte
	Cast    Cast
	// OverIPv6 says that it came over IPv6 although Source or Destination is v4-mapped: anybody can write such addresses
	// into IPv6. Elsewhere Source tells the version, and OverIPv6 may be false.
	OverIPv6 bool
	// Segment is not zero when Payload is several datagrams of one flow, each of this many bytes save the last, which
	// may be shorter (UDP_RECV_MAX_COALESCED_SIZE). Only endpoints that have asked for it get such a Datagram.
	Segment uint16
	// Memory is how many bytes the lender can't use otherwise while the datagram is kept, where that is more than the
	// payload: a buffered datagram counts as many. Keep may change it.
	Memory uint32
	// Err is set for an ICMP error. Payload is empty then.
	Err *ReceiveError

	Lender Lender
	// Slot is the lender's to use.
	Slot uint64
}

// ReceiveError is what an ICMP error said, in the terms of IN_RECVERR.
type ReceiveError struct {
	Protocol uint8 // IPPROTO_ICMP (1) or IPPROTO_ICMPV6 (58)
	Type     uint8
	Code     uint8
	Info     uint32 // the next-hop MTU of "fragmentation needed" and "packet too big", else 0
}

// Lender owns the memory of a Datagram.
type Lender interface {
	// Release ends the loan. Neither d nor its payload may be used afterwards.
	Release(d *Datagram)
	// Keep says that the loan will last: the datagram is being buffered, or the client keeps it. The lender may move
	// the payload to other memory, and does when the receive ring would run dry otherwise; nobody is looking at the
	// payload yet. The receiver may hold a lock of its own, so Keep must not call it.
	Keep(d *Datagram)
}

// is4 reports whether it came over IPv4.
func (d *Datagram) is4() bool { return !d.OverIPv6 && d.Source.is4() }

// Release gives the datagram back to its lender.
func (d *Datagram) Release() { d.Lender.Release(d) }

// ReceiveOptions are what a socket wants from its transport beyond plain datagrams. After Bind they have the zero
// value.
type ReceiveOptions struct {
	// Errors asks for ICMP errors (IP_RECVERR, IPV6_RECVERR).
	Errors bool
	// MaxCoalesced is UDP_RECV_MAX_COALESCED_SIZE: the largest Payload with Segment set, 0 for none.
	MaxCoalesced uint32
	// BufferBytes is SO_RCVBUF. It limits what the transport itself buffers for the socket. 0: the transport's default.
	BufferBytes uint32
}

// MembershipChange is what a Membership does.
type MembershipChange uint8

// Changes of membership: those of the IP_ and MCAST_ options. The source forms carry a Source.
const (
	JoinGroup MembershipChange = iota
	LeaveGroup
	JoinSource
	LeaveSource
	BlockSource
	UnblockSource
)

// Membership asks for a change of the multicast groups of an endpoint. IPv4 addresses are v4-mapped.
type Membership struct {
	Change  MembershipChange
	Group   [16]byte
	Source  [16]byte
	IfIndex uint32   // 0: the interface of Local
	Local   [16]byte // for the forms that name the interface by its address; zero: the transport's choice by route
}

// AddressSource is a Transport that knows the host's addresses, for SIO_ADDRESS_LIST_QUERY and its relatives.
type AddressSource interface {
	// Addresses are the local unicast addresses of a family, in the form of Address with port 0.
	Addresses(family uint16) []Address
	// WatchAddresses calls changed, from any goroutine and with no lock held, whenever the answer of Addresses may have
	// changed, until cancel is called.
	WatchAddresses(changed func()) (cancel func())
	// SourceFor is the local address that the route to an address prefers. It may make a system call.
	SourceFor(to Address) (Address, NTSTATUS)
}
