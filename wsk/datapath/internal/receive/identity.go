// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// identity is what makes a frame of an interface this host's: which stations and VLANs are its own, which
// destinations are broadcasts. Immutable; made anew when devices or addresses change.
type identity struct {
	index      uint32               // the interface that untagged frames count as arrived on
	mac        frame.MAC            // its address
	stations   map[frame.MAC]uint32 // further own addresses, of devices on top, and those devices
	vlans      map[uint16]uint32    // VLAN devices on top
	broadcasts map[[16]byte]struct{}
	partial    bool // frames of local senders arrive here, with the checksum left to a device there is not

	checksSources bool // the host refuses IPv4 sources here, or on a device on top (rp_filter)
	inVRF         bool // what arrives belongs to a VRF, whose sockets are not ours
	// shared: others get the groups and broadcasts that arrive as well, be they in this namespace or not: macvlans and ipvlans on
	// top, the other ports of a bridge. A frame that AF_XDP takes reaches none of them.
	shared bool
}

// programIdentity is what a program is told of the same.
type programIdentity struct {
	local, broadcasts []netip.Addr
	vlans             []uint16
}

// arrivedOn is the interface that the host's own stack would say a frame came in on, and whether it is for this host.
func (id *identity) arrivedOn(p *frame.Packet) (ifindex uint32, mine bool) {
	ifindex = id.index
	if p.NumVLANs > 1 || p.NumVLANs == 1 && p.VLANs[0].TPID != frame.EtherTypeVLAN {
		return 0, false // the program passes these
	}
	if p.NumVLANs > 0 && p.VLANs[0].ID != 0 {
		if ifindex, mine = id.vlans[p.VLANs[0].ID]; !mine {
			return 0, false
		}
	}
	if p.DstMAC == id.mac || p.DstMAC.IsGroup() {
		return ifindex, true
	}
	upper, mine := id.stations[p.DstMAC]
	if mine && ifindex == id.index {
		ifindex = upper
	}
	return ifindex, mine
}

// serves reports whether frames of an interface come in here; 0 is any interface.
func (id *identity) serves(ifindex uint32) bool {
	if ifindex == 0 || ifindex == id.index {
		return true
	}
	for _, index := range id.vlans {
		if index == ifindex {
			return true
		}
	}
	for _, index := range id.stations {
		if index == ifindex {
			return true
		}
	}
	return false
}

// castOf tells the cast of an IP destination.
func (id *identity) castOf(dst *[16]byte) wsk.Cast {
	switch w := ipaddr.Load(dst); {
	case w.IsMulticast():
		return wsk.Multicast
	case !w.Is4():
		return wsk.Unicast
	case w.IsLimitedBroadcast():
		return wsk.Broadcast
	}
	if _, ok := id.broadcasts[*dst]; ok {
		return wsk.Broadcast
	}
	return wsk.Unicast
}

// identify makes the identity of an interface out of the host's devices, addresses and rules.
func identify(ifindex int, devices []route.Device, addresses []route.Address, rules Rules) (*identity, programIdentity) {
	tops, vlans := above(ifindex, devices)
	id := newIdentity(ifindex, devices, tops, vlans)
	id.goBy(rules, tops)
	var told programIdentity
	for _, a := range addresses {
		_, on := tops[a.Interface]
		if a.Tentative || a.IP.IsLoopback() || a.IP.IsLinkLocalUnicast() && a.IP.Is6() && !on || a.IP.Is4In6() {
			// A link-local address means something on its own link only. The program leaves v4-mapped ones to the kernel.
			continue
		}
		told.local = append(told.local, a.IP)
		if !a.IP.Is4() {
			continue
		}
		if a.Broadcast.IsValid() {
			told.broadcasts = append(told.broadcasts, a.Broadcast)
		}
		if a.Prefix.Bits() < 31 {
			told.broadcasts = append(told.broadcasts, ipaddr.Last(a.Prefix))
		}
	}
	for _, b := range told.broadcasts {
		id.broadcasts[b.As16()] = struct{}{}
	}
	told.vlans = make([]uint16, 0, len(vlans))
	for vlan := range vlans {
		told.vlans = append(told.vlans, vlan)
	}
	return id, told
}

// above finds the devices that receive through an interface, itself included, and the VLANs among them.
func above(ifindex int, devices []route.Device) (tops map[int]route.Device, vlans map[uint16]uint32) {
	tops, vlans = make(map[int]route.Device), make(map[uint16]uint32)
	for _, d := range devices {
		switch {
		case d.Index == ifindex:
			tops[d.Index] = d
		case d.Parent != ifindex || !d.Up:
		case d.Type == route.TypeVLAN && d.VLAN.Proto == frame.EtherTypeVLAN:
			tops[d.Index] = d
			vlans[d.VLAN.ID] = uint32(d.Index)
		case d.Type == route.TypeMACVLAN:
			tops[d.Index] = d
		}
	}
	own := tops[ifindex]
	for _, d := range devices {
		if d.Index == own.Master && (d.Type == route.TypeBridge || d.Type == route.TypeBond) {
			tops[d.Index] = d
		}
	}
	return tops, vlans
}

func newIdentity(ifindex int, devices []route.Device, tops map[int]route.Device, vlans map[uint16]uint32) *identity {
	own := tops[ifindex]
	id := &identity{
		index: uint32(ifindex), mac: frame.MAC(own.MAC), vlans: vlans,
		stations: make(map[frame.MAC]uint32), broadcasts: make(map[[16]byte]struct{}),
	}
	for index, d := range tops {
		if index == own.Master {
			id.index = uint32(index) // the stack sees frames of a port as the bond's or the bridge's
		}
		if index != ifindex && (d.Type == route.TypeMACVLAN && d.Parent == ifindex || d.Type == route.TypeBridge) {
			id.shared = true
		}
		if index != ifindex {
			id.stations[frame.MAC(d.MAC)] = uint32(index)
		}
	}
	if own.Type == route.TypeVLAN {
		for _, d := range devices {
			if d.Index == own.Parent {
				own = d
			}
		}
	}
	switch own.Type {
	case route.TypeVeth, route.TypeBridge, route.TypeMACVLAN, route.TypeTun, route.TypeDummy:
		id.partial = true
	}
	return id
}

// hearOf notes the stations that an interface takes frames for, of which the host may know nothing else. A VLAN device on top gets no
// frames that others get, too.
func (id *identity) hearOf(stations []frame.MAC) {
	for _, mac := range stations {
		on, ours := id.stations[mac]
		id.shared = id.shared || !ours || !slices.Contains(slices.Collect(maps.Values(id.vlans)), on)
	}
}

// goBy notes which of the host's rules matter on the devices that receive through the interface.
func (id *identity) goBy(rules Rules, tops map[int]route.Device) {
	if rules == nil {
		return
	}
	apart := func(ifindex int) bool { return rules.VRF(ifindex) != 0 && !rules.ReceivesFromVRFs() }
	id.inVRF = apart(int(id.index))
	for index, d := range tops {
		id.checksSources = id.checksSources || rules.ReversePath(index) != route.ReversePathOff
		switch {
		case !apart(index):
		case d.Type == route.TypeVLAN && id.vlans[d.VLAN.ID] == uint32(index):
			delete(id.vlans, d.VLAN.ID) // the program passes its frames to the kernel
		default:
			id.inVRF = true // the program does not know its frames by their MAC address
		}
	}
}
