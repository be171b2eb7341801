// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// NoInterface is an interface that the policy does not name, or none.
const NoInterface = -1

// Kind is what the host's routes say of a destination.
type Kind uint8

// Kinds. Loopback, groups and 255.255.255.255 are what they are whatever a route says.
const (
	Unicast Kind = iota
	Broadcast
	Multicast
	Local // an address of this host
)

// Flow is the way that datagrams are about to take, as known once their route is. IPv4 addresses are v4-mapped.
type Flow struct {
	Destination [16]byte
	Source      [16]byte // that they are going to leave with
	Port        uint16
	TTL         uint8
	TOS         uint8
	Kind        Kind
	Interface   int  // that they are going to leave through, a place in Policy.Interfaces, or NoInterface
	OfInterface bool // Source is an address of Interface
}

// Admit answers whether the grant allows a flow: ReasonNone, or why not. Between loopback and this host's own addresses
// no interface counts and every local source is one of the interface's.
func (g *Grant) Admit(f *Flow) ipc.Reason {
	to, kind := ipaddr.Load(&f.Destination), kindOf(f)
	if kind != Local && !g.hasInterface(f.Interface) {
		return ipc.ReasonInterface
	}
	byInterface := g.ofInterface && (f.OfInterface || kind == Local)
	if !byInterface && !g.sources.Contains(ipaddr.Addr(f.Source)) {
		return ipc.ReasonSourceAddress
	}
	switch {
	case kind == Multicast:
		if !g.multicast.has(ipaddr.Addr(f.Destination), f.Port) {
			return ipc.ReasonMulticast
		}
	case kind == Broadcast && !g.broadcast:
		return ipc.ReasonBroadcast
	case kind == Local && !g.local:
		return ipc.ReasonLocal
	case isLinkLocal(to) && !g.linkLocal:
		return ipc.ReasonLinkLocal
	case !g.destinations.has(ipaddr.Addr(f.Destination), f.Port):
		return ipc.ReasonDestination
	}
	switch {
	case g.dscp>>(f.TOS>>2)&1 == 0:
		return ipc.ReasonDSCP
	case f.TTL > g.ttlMax:
		return ipc.ReasonTTL
	}
	return ipc.ReasonNone
}

// kindOf is what the address says of itself, or else what the route does.
func kindOf(f *Flow) Kind {
	switch to := ipaddr.Load(&f.Destination); {
	case to.IsMulticast():
		return Multicast
	case to.IsLimitedBroadcast():
		return Broadcast
	case isLoopback(to), to.IsUnspecified(): // Linux sends what is for 0.0.0.0 to itself
		return Local
	}
	return f.Kind
}

// isLoopback reports 127.0.0.0/8 and ::1.
func isLoopback(a ipaddr.Words) bool {
	return a.Is4() && uint32(a.Low)>>24 == 127 || a == ipaddr.Words{Low: 1}
}

// isLinkLocal reports 169.254.0.0/16 and fe80::/10.
func isLinkLocal(a ipaddr.Words) bool {
	return a.Is4() && uint32(a.Low)>>16 == 169<<8|254 || a.IsLinkLocal6()
}

func (g *Grant) hasInterface(place int) bool {
	return place >= 0 && place < maxInterfaces && g.interfaces>>place&1 != 0
}

// Datagram answers whether the grant allows a datagram of that many payload bytes; onePacket are as many as fit into one
// packet of its flow. Of a payload that leaves in segments it is asked about a segment.
func (g *Grant) Datagram(payload, onePacket int) ipc.Reason {
	switch {
	case payload > g.Limits.Size:
		return ipc.ReasonSize
	case payload > onePacket && !g.Limits.Fragments:
		return ipc.ReasonFragment
	}
	return ipc.ReasonNone
}

// Bind is an address that a socket is to have. An IPv4 one is v4-mapped.
type Bind struct {
	Local     [16]byte // unspecified: every address
	Port      uint16   // 0: any of 49152 to 65535
	Reuse     bool     // to share it
	Interface int      // that has the address, a place in Policy.Interfaces, or NoInterface
}

// Bind answers whether the grant allows a socket: ReasonNone, or why not. Every address at once needs "interface" in
// source; what such a socket then sends and receives is asked of Admit and Receives.
func (g *Grant) Bind(b *Bind) ipc.Reason {
	words, addr := ipaddr.Load(&b.Local), ipaddr.Addr(b.Local)
	wanted := portRange{b.Port, b.Port}
	if b.Port == 0 {
		wanted = ephemeral
	}
	switch {
	case words.IsUnspecified():
		if !g.ofInterface {
			return ipc.ReasonSourceAddress
		}
	case words.IsMulticast():
		if !g.multicast.hasSome(addr) {
			return ipc.ReasonMulticast
		}
	case isLoopback(words) && !g.local:
		return ipc.ReasonLocal
	case isLinkLocal(words) && !g.linkLocal:
		return ipc.ReasonLinkLocal
	case !g.sources.Contains(addr) && !(g.ofInterface && (isLoopback(words) || g.hasInterface(b.Interface))):
		return ipc.ReasonSourceAddress
	}
	switch {
	case !g.sourcePorts.covers(wanted):
		return ipc.ReasonSourcePort
	case b.Reuse && !g.reuse:
		return ipc.ReasonReuse
	}
	return ipc.ReasonNone
}

// Join answers whether the grant allows to be in a group on an interface, a place in Policy.Interfaces, or NoInterface.
func (g *Grant) Join(group [16]byte, on int) ipc.Reason {
	switch {
	case !g.hasInterface(on):
		return ipc.ReasonInterface
	case !g.multicast.hasSome(ipaddr.Addr(group)):
		return ipc.ReasonMulticast
	}
	return ipc.ReasonNone
}

// Receives says whether a datagram that has arrived may be delivered. from is its sender, in is the interface that it
// came in through, a place in Policy.Interfaces, or NoInterface; local says that it came from this very host.
func (g *Grant) Receives(from [16]byte, port uint16, in int, local bool) bool {
	words := ipaddr.Load(&from)
	switch {
	case local || isLoopback(words):
		if !g.local {
			return false
		}
	case !g.hasInterface(in):
		return false
	}
	return (g.linkLocal || !isLinkLocal(words)) && g.receiveFrom.has(ipaddr.Addr(from), port)
}
