// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net"
	"net/netip"
)

// setting is what both laboratories have in common.
type setting struct {
	macA, macB     net.HardwareAddr
	a4, b4, a6, b6 netip.Addr
}

// mappedLocal is an IPv6 address of the hosts that looks like an IPv4 one.
var mappedLocal = netip.MustParseAddr("::ffff:10.77.9.9")

var joined4, joined6 = netip.MustParseAddr("239.1.2.3"), netip.MustParseAddr("ff15::77")

// binding is a socket that each host has.
type binding struct {
	name    string
	network string
	local   netip.AddrPort
	group   netip.Addr // joined, if valid
	at      netip.Addr // where barriers go
}

var bindings = []binding{
	{"IPv4 any", "udp4", netip.MustParseAddrPort("0.0.0.0:7300"), joined4, netip.MustParseAddr("10.77.0.1")},
	{"IPv6 any", "udp6", netip.MustParseAddrPort("[::]:7300"), joined6, netip.MustParseAddr("fd77::1")},
	{"IPv4 one", "udp4", netip.MustParseAddrPort("10.77.0.1:7301"), netip.Addr{}, netip.MustParseAddr("10.77.0.1")},
	{"IPv6 one", "udp6", netip.MustParseAddrPort("[fd77::1]:7301"), netip.Addr{}, netip.MustParseAddr("fd77::1")},
	{"dual", "udp", netip.MustParseAddrPort("[::]:7302"), netip.Addr{}, netip.MustParseAddr("fd77::1")},
}

// ports are where frames go: those of the bindings, and one that nobody has.
var ports = []uint16{7300, 7300, 7300, 7301, 7301, 7302, 7302, 7303}

// longestFrame is more than the hosts' MTU of 1500 lets in. The end that sends has a larger one.
const (
	longestFrame = 1600
	farMTU       = 1700
)

// Case is what is sent in one go: the frames of one or two packets.
type Case struct {
	Number uint64
	// What says of what kind it is.
	What   []string
	Frames [][]byte
	// Beside is a tag, TPID and TCI, that the frames have beside them and not in them, 0 for none.
	Beside uint32
	// Excuse names an entry of Differences that allows it to be delivered differently.
	Excuse string
}
