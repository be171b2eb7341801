// SPDX-License-Identifier: Apache-2.0

package send

import (
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// sourceOf is the address that the call, or the socket with the address that it is bound to, prescribes; the zero Addr leaves the
// choice to the route.
func sourceOf(to *wsk.Destination, bound netip.Addr) (netip.Addr, error) {
	if a := to.SourceIP(); a.IsValid() {
		return a, nil
	}
	a := bound.Unmap().WithZone("")
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, nil
	}
	if a.Is4() != to.Is4() {
		return netip.Addr{}, errFamily
	}
	return a, nil
}

// linkAddress is the link-layer address to send to; neighbour is what the neighbour has answered, if it was asked.
func linkAddress(hop route.Hop, to netip.Addr, neighbour frame.MAC) frame.MAC {
	switch hop.Kind {
	case route.Broadcast:
		return frame.BroadcastMAC()
	case route.Multicast:
		mac, _ := frame.MulticastMAC(to)
		return mac
	}
	return neighbour
}

// tags are VLANs as they stand in a frame.
func tags(vlans []route.VLAN) (list []frame.VLANTag) {
	for _, v := range vlans {
		list = append(list, frame.VLANTag{TPID: v.Proto, ID: v.ID, PCP: v.Priority})
	}
	return list
}
