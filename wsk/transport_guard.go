// SPDX-License-Identifier: Apache-2.0

package wsk

// Way is how datagrams to a destination are about to leave: what only a route can tell.
type Way struct {
	IfIndex uint32   // the interface that the route names
	Source  [16]byte // the source address that they will have; IPv4 is v4-mapped
	Kind    WayKind
	Slow    bool // through the kernel's stack and not through a queue of the transport's, as far as is known yet
	MTU     int  // the largest IP packet, in bytes
}

// WayKind is what the routes say of a destination.
type WayKind uint8

// Kinds of ways.
const (
	WayUnicast WayKind = iota
	WayBroadcast
	WayMulticast
	WayLocal // to this host itself
)

// FlowGuard is the part of an [EndpointEvents] that decides about destinations, for a transport that serves others under
// a policy. Without one everything is allowed.
type FlowGuard interface {
	// Admit is asked when the way to a destination is known, before a neighbour is asked for and before anything leaves.
	// STATUS_SUCCESS lets datagrams take that way, as long as it is the way; with any other status, which is a failure,
	// everything that waits for the destination ends. The transport asks again when the way may have changed, when it
	// has forgotten the destination, which may be at once where there are many, and after a recheck, but not for each
	// datagram to the same few. It calls from any goroutine and may
	// hold locks of its own, so Admit does not block, takes less than a microsecond, and calls nothing of the transport
	// but InterfaceOf.
	Admit(to *Destination, way Way) NTSTATUS
}
