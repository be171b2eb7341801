// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Shape says how the two hosts are connected.
type Shape uint8

const (
	// Direct is one veth pair between A and B.
	Direct Shape = iota
	// Routed is A, a forwarding router, and B, with default routes through the router.
	Routed
)

// Neighbours says how the hosts learn each other's link layer address.
type Neighbours uint8

const (
	// Dynamic leaves it to ARP and neighbour discovery, starting from nothing.
	Dynamic Neighbours = iota
	// Static enters permanent neighbours for every address on both sides.
	Static
)

// XDPAction is what an XDP program does with the frames it counts.
type XDPAction uint8

const (
	// XDPNone means no program.
	XDPNone XDPAction = iota
	// XDPDrop counts and drops UDP; everything else passes, so that neighbours keep being resolved.
	XDPDrop
	// XDPPass counts UDP and passes everything to the stack.
	XDPPass
)

// End describes the interface of one host. The zero value gives the defaults that the package comment draws.
type End struct {
	// Name of the interface, at most 15 bytes. Default wsk0 in A, wsk1 in B.
	Name string
	// MAC is the link layer address. Default 02:77:00:00:00:0a in A, …0b in B.
	MAC net.HardwareAddr
	// Addrs are IPv4 and IPv6 addresses, each with its prefix length. Nil: the drawn ones. Empty, not nil: none.
	Addrs []netip.Prefix
	// TX and RX are the numbers of queues. Default 1. A native XDP program needs RX of one end ≥ TX of the other: an
	// RX left at 0 follows the other end's TX, so only an RX that is set can break that.
	TX, RX int
}

// Topology describes a lab. The zero value is a direct veth pair with MTU 1500, one queue, both families, dynamic
// neighbours, and all offloads off, so that what the kernel sends carries complete checksums.
type Topology struct {
	Shape Shape
	A, B  End
	// MTU of the link at A, and of the far hop where FarMTU is 0. Default 1500, 68..65535.
	MTU int
	// FarMTU is the MTU of the hop between router and B. Routed only.
	FarMTU     int
	Neighbours Neighbours
	// NoIPv6 leaves the default IPv6 addresses out and turns IPv6 off on the interfaces, which also silences neighbour
	// discovery and multicast listener reports.
	NoIPv6 bool
	// Offloads leaves the kernel's defaults for checksum and segmentation offload. Frames that the kernel sends over
	// a veth then carry partial checksums. False turns them off at every end.
	Offloads bool
	// GRO turns generic receive offload on at B, which makes veth receive through NAPI there.
	GRO bool
	// PeerXDP attaches a native XDP program at B; its counter is [Lab.Counter]. Needs root.
	PeerXDP XDPAction
}

var (
	defaultMACs = map[string]net.HardwareAddr{
		"A":  {0x02, 0x77, 0, 0, 0, 0x0a},
		"B":  {0x02, 0x77, 0, 0, 0, 0x0b},
		"RA": {0x02, 0x77, 0, 0, 0, 0x1a},
		"RB": {0x02, 0x77, 0, 0, 0, 0x1b},
	}
	routerAddrsA = prefixes("10.77.0.254/24", "fd77::fe/64")
	routerAddrsB = prefixes("10.77.1.254/24", "fd77:0:0:1::fe/64")
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// withDefaults returns t with every default filled in, or everything that is wrong with it.
func (t Topology) withDefaults() (Topology, error) {
	var problems []error
	if t.Shape > Routed {
		problems = append(problems, fmt.Errorf("shape %d is unknown: use Direct or Routed", t.Shape))
	}
	if t.MTU == 0 {
		t.MTU = 1500
	}
	if t.FarMTU != 0 && t.Shape != Routed {
		problems = append(problems, errors.New("far MTU set without a router: set Shape to Routed"))
	}
	if t.FarMTU == 0 {
		t.FarMTU = t.MTU
	}
	for _, mtu := range []int{t.MTU, t.FarMTU} {
		if mtu < 68 || mtu > 65535 {
			problems = append(problems, fmt.Errorf("MTU %d is outside 68..65535", mtu))
		}
		if mtu < 1280 && !t.NoIPv6 {
			problems = append(problems, fmt.Errorf("MTU %d is below IPv6's minimum of 1280: set NoIPv6", mtu))
		}
	}
	if t.Neighbours > Static {
		problems = append(problems, fmt.Errorf("neighbours %d is unknown", t.Neighbours))
	}
	if t.PeerXDP > XDPPass {
		problems = append(problems, fmt.Errorf("peer XDP action %d is unknown", t.PeerXDP))
	}
	a, b := prefixes("10.77.0.1/24", "fd77::1/64"), prefixes("10.77.0.2/24", "fd77::2/64")
	if t.Shape == Routed {
		b = prefixes("10.77.1.2/24", "fd77:0:0:1::2/64")
	}
	if t.NoIPv6 {
		a, b = a[:1], b[:1]
	}
	t.A.fill("wsk0", defaultMACs["A"], a)
	t.B.fill("wsk1", defaultMACs["B"], b)
	if t.Shape == Direct {
		if t.A.RX == 0 {
			t.A.RX = t.B.TX
		}
		if t.B.RX == 0 {
			t.B.RX = t.A.TX
		}
	}
	problems = append(problems, t.A.check("A", t.NoIPv6)...)
	problems = append(problems, t.B.check("B", t.NoIPv6)...)
	if len(problems) > 0 {
		return t, fmt.Errorf("check topology: %w", errors.Join(problems...))
	}
	return t, nil
}

func (e *End) fill(name string, mac net.HardwareAddr, addrs []netip.Prefix) {
	if e.Name == "" {
		e.Name = name
	}
	if e.MAC == nil {
		e.MAC = mac
	}
	if e.Addrs == nil {
		e.Addrs = addrs
	}
	if e.TX == 0 {
		e.TX = 1
	}
}

func (e *End) check(which string, noIPv6 bool) []error {
	var problems []error
	if e.RX == 0 {
		e.RX = 1
	}
	if len(e.Name) > 15 || e.Name == "lo" {
		problems = append(problems, fmt.Errorf("end %s: interface name %q: 1 to 15 bytes, not lo", which, e.Name))
	}
	if len(e.MAC) != 6 || e.MAC[0]&1 != 0 {
		problems = append(problems, fmt.Errorf("end %s: %v is no unicast Ethernet address", which, e.MAC))
	}
	for _, q := range []int{e.TX, e.RX} {
		if q < 1 || q > 4096 {
			problems = append(problems, fmt.Errorf("end %s: %d queues is outside 1..4096", which, q))
		}
	}
	for _, p := range e.Addrs {
		if !p.IsValid() {
			problems = append(problems, fmt.Errorf("end %s: an address is the zero netip.Prefix", which))
		} else if noIPv6 && p.Addr().Is6() {
			problems = append(problems, fmt.Errorf("end %s: address %v contradicts NoIPv6", which, p))
		}
	}
	return problems
}
