// SPDX-License-Identifier: Apache-2.0

package netconn

// Options of a connection. The zero value behaves as package net does.
type Options struct {
	// ReadBuffer is SO_RCVBUF in bytes, see [Conn.SetReadBuffer]; 0 leaves the provider's default.
	ReadBuffer int
	// WriteBuffer is SO_SNDBUF in bytes: how much of what was written may wait to leave, before a write waits for room; 0
	// means 212992. It has no effect with Strict.
	WriteBuffer int
	// ReplyFromDestination has what is written to an address leave from the address of the host that the last datagram from
	// there was sent to, where the connection is bound to a wildcard and no control message names a source: a server that
	// is asked at a secondary address answers from it, without looking at control messages. Nothing leaves from a group or a
	// broadcast address: what was sent there does not count. The last 4096 senders are remembered. It turns
	// ControlPacketInfo on.
	ReplyFromDestination bool
	// Mark is SO_MARK, by which the policy rules of the host choose the route of what is sent; 0 is none. It takes
	// CAP_NET_ADMIN, or CAP_NET_RAW since Linux 5.17. Through a daemon it is an error.
	Mark uint32
	// Strict has a write return when its datagram has left, with the status of WSK, instead of copying it and returning
	// what the kernel's socket would. Such a write tells of a neighbour that does not answer, after seconds, and of what
	// a device has dropped; it costs a round through the queue for each datagram.
	Strict bool
	// Control are the control messages that the ReadMsg forms deliver from the first datagram on, see
	// [Conn.SetControl].
	Control ControlFlags
	// ReuseAddress and ExclusiveAddress are SO_REUSEADDR and SO_EXCLUSIVEADDRUSE, with the sharing rules of Windows. At
	// most one may be set.
	ReuseAddress, ExclusiveAddress bool
	// InterfaceIndex translates the name in an IPv6 zone to an interface index, in the network namespace of the
	// provider. nil means net.InterfaceByName, which looks in the namespace of the process. Zones in decimal are not
	// passed to it.
	InterfaceIndex func(name string) (int, error)
}

// ControlFlags select control messages for reading.
type ControlFlags uint8

const (
	// ControlPacketInfo asks for IP_PKTINFO or IPV6_PKTINFO: the address that the datagram was sent to and the
	// interface that it arrived through.
	ControlPacketInfo ControlFlags = 1 << iota
	// ControlTTL asks for IP_TTL or IPV6_HOPLIMIT.
	ControlTTL
	// ControlTOS asks for IP_TOS or IPV6_TCLASS: the whole byte, ECN included.
	ControlTOS
)
