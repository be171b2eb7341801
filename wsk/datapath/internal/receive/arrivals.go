// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"errors"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// arrivals is what an intake must know to judge a frame: which stations and VLANs are this host's, which destinations are
// broadcasts. Immutable; made anew when devices or addresses change.
type arrivals struct {
	Index      uint32               // the interface that untagged frames count as arrived on
	MAC        frame.MAC            // its address
	stations   map[frame.MAC]uint32 // further own addresses, of devices on top, and those devices
	vlans      map[uint16]uint32    // VLAN devices on top
	Flooded    []uint32             // devices on top that get every untagged group frame too, if they have joined the group
	broadcasts map[[16]byte]struct{}
	Partial    bool // frames of local senders arrive here, with the checksum left to a device there is not
}

// ArrivedOn is the interface that the host's own stack would say a frame came in on, and whether it is for this host.
func (a *arrivals) ArrivedOn(p *frame.Packet) (ifindex uint32, mine bool) {
	ifindex = a.Index
	if p.NumVLANs > 1 || p.NumVLANs == 1 && p.VLANs[0].TPID != frame.EtherTypeVLAN {
		return 0, false // the program passes these
	}
	if p.NumVLANs > 0 && p.VLANs[0].ID != 0 {
		if ifindex, mine = a.vlans[p.VLANs[0].ID]; !mine {
			return 0, false
		}
	}
	if p.DstMAC == a.MAC || p.DstMAC.IsGroup() {
		return ifindex, true
	}
	upper, mine := a.stations[p.DstMAC]
	if mine && ifindex == a.Index {
		ifindex = upper
	}
	return ifindex, mine
}

// Serves reports whether frames of an interface come in here; 0 is any interface.
func (a *arrivals) Serves(ifindex uint32) bool {
	if ifindex == 0 || ifindex == a.Index {
		return true
	}
	for _, index := range a.vlans {
		if index == ifindex {
			return true
		}
	}
	for _, index := range a.stations {
		if index == ifindex {
			return true
		}
	}
	return false
}

// castOf tells the cast of an IP destination.
func (a *arrivals) castOf(dst *[16]byte) wsk.Cast {
	switch w := ipaddr.Load(dst); {
	case w.IsMulticast():
		return wsk.Multicast
	case !w.Is4():
		return wsk.Unicast
	case w.IsLimitedBroadcast():
		return wsk.Broadcast
	}
	if _, ok := a.broadcasts[*dst]; ok {
		return wsk.Broadcast
	}
	return wsk.Unicast
}

// Refresh brings the program and the arrivals up to date with the routing table.
func (in *Intake) Refresh() {
	in.refreshing.Lock()
	defer in.refreshing.Unlock()
	devices := in.Hub.Routes.Devices()
	tops, vlans := in.above(devices)
	next := in.newArrivals(devices, tops, vlans)
	var local, broadcasts []netip.Addr
	for _, a := range in.Hub.Routes.Addresses(0) {
		_, on := tops[a.Interface]
		if a.Tentative || a.IP.IsLoopback() || a.IP.IsLinkLocalUnicast() && a.IP.Is6() && !on {
			continue // a link-local address means something on its own link only
		}
		local = append(local, a.IP)
		if !a.IP.Is4() {
			continue
		}
		if a.Broadcast.IsValid() {
			broadcasts = append(broadcasts, a.Broadcast)
		}
		if a.Prefix.Bits() < 31 {
			broadcasts = append(broadcasts, ipaddr.Last(a.Prefix))
		}
	}
	for _, b := range broadcasts {
		next.broadcasts[b.As16()] = struct{}{}
	}
	ids := make([]uint16, 0, len(vlans))
	for id := range vlans {
		ids = append(ids, id)
	}
	// What a frame is judged by comes before the frame.
	in.Arrivals.Store(next)
	err := errors.Join(in.Prog.SetVLANs(ids), in.Prog.SetBroadcastAddresses(broadcasts), in.Prog.SetLocalAddresses(local))
	if err != nil && !errors.Is(err, bpf.ErrClosed) {
		in.Hub.Log.Error("tell the XDP program the host's addresses; some arrive through the kernel's stack instead",
			"interface", in.Name, "err", err)
	}
}

// above finds the devices that receive through the interface, itself included, and the VLANs among them.
func (in *Intake) above(devices []route.Device) (tops map[int]route.Device, vlans map[uint16]uint32) {
	tops, vlans = make(map[int]route.Device), make(map[uint16]uint32)
	for _, d := range devices {
		switch {
		case d.Index == in.IfIndex:
			tops[d.Index] = d
		case d.Parent != in.IfIndex || !d.Up:
		case d.Type == route.TypeVLAN && d.VLAN.Proto == frame.EtherTypeVLAN:
			tops[d.Index] = d
			vlans[d.VLAN.ID] = uint32(d.Index)
		case d.Type == route.TypeMACVLAN:
			tops[d.Index] = d
		}
	}
	own := tops[in.IfIndex]
	for _, d := range devices {
		if d.Index == own.Master && (d.Type == route.TypeBridge || d.Type == route.TypeBond) {
			tops[d.Index] = d
		}
	}
	return tops, vlans
}

func (in *Intake) newArrivals(devices []route.Device, tops map[int]route.Device, vlans map[uint16]uint32) *arrivals {
	own := tops[in.IfIndex]
	next := &arrivals{
		Index: uint32(in.IfIndex), MAC: frame.MAC(own.MAC), vlans: vlans,
		stations: make(map[frame.MAC]uint32), broadcasts: make(map[[16]byte]struct{}),
	}
	for index, d := range tops {
		if index == own.Master {
			next.Index = uint32(index) // the stack sees frames of a port as the bond's or the bridge's
		}
		if d.Type == route.TypeMACVLAN && d.Parent == in.IfIndex {
			next.Flooded = append(next.Flooded, uint32(index))
		}
		if index != in.IfIndex {
			next.stations[frame.MAC(d.MAC)] = uint32(index)
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
		next.Partial = true
	}
	return next
}
