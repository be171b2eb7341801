// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"net/netip"
)

// key is all of a route that is not of its prefix: what the kernel announced, from which the model makes a Hop. Routes
// with equal keys have one hop.
type key struct {
	six    bool
	object uint32 // id of the next hop object; device and gateway are the object's then
	device int
	// gateway is of either family.
	gateway netip.Addr
	source  netip.Addr // preferred source (RTA_PREFSRC)
	from    netip.Prefix
	mtu     int
	scope   uint8 // of an IPv4 route
	encap   bool
	// kernel: the kernel has made the route itself, as for the network of an address, and takes it away itself.
	kernel bool
	// dying: the route is about to expire; the kernel alone knows when.
	dying bool
	// sibling: one of several next hops of an IPv6 route, of which each is a route of its own.
	sibling bool
	// legs are the next hops of an IPv4 multipath route.
	legs string
	// rest and legsRest stand for what else two IPv4 routes can differ in, which decides no way: protocol, metrics; of
	// the next hops realms, weights, encapsulations. Without them one route could be taken for another that is removed.
	rest, legsRest uint32
}

// fold adds bytes to a sum of what was said before (FNV-1a).
func fold(sum uint32, b ...byte) uint32 {
	for _, x := range b {
		sum = (sum ^ uint32(x)) * 16777619
	}
	return sum
}

// leg is one next hop of a multipath route.
type leg struct {
	device  int
	gateway netip.Addr
	encap   bool
}

// addLeg appends a leg to key.legs.
func addLeg(legs string, l leg) string {
	b := binary.NativeEndian.AppendUint32([]byte(legs), uint32(l.device))
	encap := byte(0)
	if l.encap {
		encap = 1
	}
	gateway := l.gateway.AsSlice()
	return string(append(append(b, encap, byte(len(gateway))), gateway...))
}

// eachLeg reads what addLeg has written.
func eachLeg(legs string, fn func(leg)) {
	for b := []byte(legs); len(b) > 0; {
		n := int(b[5])
		l := leg{device: int(int32(binary.NativeEndian.Uint32(b))), encap: b[4] != 0}
		l.gateway, _ = netip.AddrFromSlice(b[6 : 6+n])
		fn(l)
		b = b[6+n:]
	}
}

// usesDevice reports whether the route leaves by a device, by one of its legs at least. Those of objects don't say.
func (k *key) usesDevice(device int) bool {
	if k.object != 0 {
		return false
	}
	if k.legs == "" {
		return k.device == device
	}
	found := false
	eachLeg(k.legs, func(l leg) { found = found || l.device == device })
	return found
}
