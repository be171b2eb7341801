// SPDX-License-Identifier: Apache-2.0

package netconn

// Options of a connection. The zero value behaves as package net does.
type Options struct {
	// ReadBuffer and WriteBuffer are SO_RCVBUF and SO_SNDBUF in bytes; 0 leaves the provider's default. WriteBuffer has
	// no effect, because WSK does not buffer what is sent.
	ReadBuffer, WriteBuffer int
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
