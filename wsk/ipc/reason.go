// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"fmt"
	"iter"
)

// Reason is why something was refused. Its number and its name never change and are never used again; the same are in
// replies, completions, logs and metrics.
type Reason uint32

// Reasons by what has refused: 1xx the policy, 2xx a limit, 3xx a port, 4xx the network, 5xx the protocol, 6xx the
// daemon. 504, 506 and 508 are kept for rings in shared memory, 302 for ports that outlive the daemon and 404 for links.
const (
	ReasonNone Reason = 0 // nothing was refused, or the status says it all

	ReasonNotGranted    Reason = 101
	ReasonInterface     Reason = 102
	ReasonSourceAddress Reason = 103
	ReasonSourcePort    Reason = 104
	ReasonDestination   Reason = 105
	ReasonBroadcast     Reason = 106
	ReasonMulticast     Reason = 107
	ReasonLocal         Reason = 108
	ReasonLinkLocal     Reason = 109
	ReasonSize          Reason = 110
	ReasonDSCP          Reason = 111
	ReasonTTL           Reason = 112
	ReasonFragment      Reason = 113
	ReasonRevoked       Reason = 114
	ReasonReuse         Reason = 115

	ReasonConnections  Reason = 201
	ReasonSockets      Reason = 202
	ReasonMemory       Reason = 203
	ReasonInflight     Reason = 204
	ReasonDestinations Reason = 205
	ReasonRate         Reason = 206
	ReasonMemberships  Reason = 207

	ReasonPortInUse Reason = 301

	ReasonNoRoute         Reason = 401
	ReasonUnresolved      Reason = 402
	ReasonMTU             Reason = 403
	ReasonDeviceGone      Reason = 405
	ReasonAddressNotLocal Reason = 406

	ReasonVersion Reason = 501
	ReasonMessage Reason = 502
	ReasonState   Reason = 503
	ReasonEntry   Reason = 505
	ReasonBounds  Reason = 507
	ReasonRights  Reason = 509

	ReasonDraining Reason = 601
	ReasonInternal Reason = 602
)

var reasons = []struct {
	reason   Reason
	name     string
	sentence string
}{
	{ReasonNotGranted, "policy.not_granted",
		"No [[allow]] of the policy matches this user, or a [[deny]] before it does; the operator has to add one."},
	{ReasonInterface, "policy.interface",
		"The datagram would leave through an interface that the grant or the policy does not name; see interface."},
	{ReasonSourceAddress, "policy.source_address",
		"The grant does not allow this local address; bind one of those in source."},
	{ReasonSourcePort, "policy.source_port",
		"The grant does not allow this local port; bind one of those in source_port."},
	{ReasonDestination, "policy.destination",
		"No prefix and port of the grant's destination covers this remote address and port."},
	{ReasonBroadcast, "policy.broadcast",
		"The destination is a broadcast address, and the grant does not say broadcast = true."},
	{ReasonMulticast, "policy.multicast",
		"No prefix of the grant's multicast covers this group."},
	{ReasonLocal, "policy.local",
		"The address is one of this host's own or loopback, and the grant does not say local = true."},
	{ReasonLinkLocal, "policy.link_local",
		"The address is link-local (169.254.0.0/16 or fe80::/10), and the grant does not say link_local = true."},
	{ReasonSize, "policy.size",
		"The payload is larger than the grant's size."},
	{ReasonDSCP, "policy.dscp",
		"The upper six bits of TOS or traffic class are none of the grant's dscp."},
	{ReasonTTL, "policy.ttl",
		"TTL or hop limit is above the grant's ttl_max."},
	{ReasonFragment, "policy.fragment",
		"The datagram does not fit into one packet, and the grant says fragments = false."},
	{ReasonRevoked, "policy.revoked",
		"The policy was reloaded and does not grant any more what the session or socket has."},
	{ReasonReuse, "policy.reuse",
		"The socket wants to share its address, and the grant does not say reuse = true."},

	{ReasonConnections, "limit.connections",
		"This user or the grant has as many sessions as it may have, or connects too often."},
	{ReasonSockets, "limit.sockets",
		"The grant's sockets are all open."},
	{ReasonMemory, "limit.memory",
		"The grant's memory is used up."},
	{ReasonInflight, "limit.inflight",
		"As many datagrams as the grant's inflight are under way."},
	{ReasonDestinations, "limit.destinations",
		"The grant's destinations are all in use, or new ones come faster than new_destinations."},
	{ReasonRate, "limit.rate",
		"The datagram is over the grant's rate or bits, and the grant says excess = \"refuse\"."},
	{ReasonMemberships, "limit.memberships",
		"The sockets of the grant have joined as many groups as its memberships."},

	{ReasonPortInUse, "port.in_use",
		"Another socket of the host has this address and port, and does not share it."},

	{ReasonNoRoute, "route.none",
		"The host has no route to the destination."},
	{ReasonUnresolved, "neighbour.unresolved",
		"The next hop does not answer ARP or neighbour discovery."},
	{ReasonMTU, "mtu.exceeded",
		"The datagram is larger than the path takes in one packet, and may not be fragmented."},
	{ReasonDeviceGone, "device.gone",
		"The interface has been removed."},
	{ReasonAddressNotLocal, "address.not_local",
		"The host does not have this source address."},

	{ReasonVersion, "protocol.version",
		"Client and daemon speak different major versions of the protocol."},
	{ReasonMessage, "protocol.message",
		"A message is not one of the protocol, or a field of it has no meaning."},
	{ReasonState, "protocol.state",
		"A message came when it may not: before HELLO, for a socket that is not open, or too many at once."},
	{ReasonEntry, "protocol.entry",
		"A field of a datagram to send, or of one received, has no meaning."},
	{ReasonBounds, "protocol.bounds",
		"A length or a count does not fit its message or the protocol's limits."},
	{ReasonRights, "protocol.rights",
		"A message carried descriptors or other control data; the daemon takes none."},

	{ReasonDraining, "daemon.draining",
		"The daemon is about to stop; connect again."},
	{ReasonInternal, "daemon.internal",
		"The daemon has failed; its log says how."},
}

// Reasons are all reasons of this version in the order of their numbers.
func Reasons() iter.Seq[Reason] {
	return func(yield func(Reason) bool) {
		for i := range reasons {
			if !yield(reasons[i].reason) {
				return
			}
		}
	}
}

// String is the name, like "policy.destination". One of a later version is "reason" and its number.
func (r Reason) String() string {
	for i := range reasons {
		if reasons[i].reason == r {
			return reasons[i].name
		}
	}
	if r == ReasonNone {
		return "none"
	}
	return fmt.Sprintf("reason %d", uint32(r))
}

// Sentence says in English what was refused and, where somebody can do something, what. It is empty for a reason of a
// later version.
func (r Reason) Sentence() string {
	for i := range reasons {
		if reasons[i].reason == r {
			return reasons[i].sentence
		}
	}
	return ""
}
