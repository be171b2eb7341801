// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

// Transmit finds the device that an AF_XDP socket should be bound to for a hop, and the tags to put on the frame, for
// traffic with this TOS. The source MAC is hop.Device.MAC in all cases, whatever the device is.
//
// A frame of AF_XDP in copy mode reaches a driver as an skb that has no protocol, no header offsets and priority 0 (net/xdp/xsk.c,
// xsk_build_skb and __dev_direct_xmit). Whatever looks at these treats it otherwise than a datagram of the kernel's. So only
// kinds of devices, in such set-ups, are used that were shown to send the same frames to the same places; the table is in the code
// of this file and of carry.go, and every row of it has a test that compares with the kernel's socket. For everything else the obstacle
// says why the kernel has to send.
//
//	hardware, veth, dummy, tap   the device itself
//	VLAN                         the device below, with a tag and the priority that the kernel would give; the VLAN device
//	                             itself where the one below wants the tag beside the frame (a bridge, a bond that hashes) or
//	                             a third tag would be needed
//	active-backup bond           its active port
//	bond that takes turns, sends to all, or hashes MAC addresses (layer2)   the bond
//	macvlan                      the device below if it never switches locally (private, VEPA, passthru), else the macvlan
//	bridge                       the bridge; groups only without mcast_snooping
//
// What a device hands its frames on to must be in the table too: the ports of a bridge or bond, what is below a macvlan or VLAN.
func (t *Table) Transmit(hop Hop, tos uint8) (Egress, Obstacle) {
	s := t.snap.Load()
	d := s.devices[hop.Interface]
	switch {
	case hop.Kind == Local:
		return Egress{}, Obstacle{ID: ObstacleLocal}
	case hop.Encap:
		return Egress{}, Obstacle{ID: ObstacleEncap}
	case d == nil:
		return Egress{}, Obstacle{ID: ObstacleGone, Device: hop.Device.Name}
	}
	w := walk{snapshot: s, group: hop.Kind == Multicast}
	if hop.Source.Is4() || !hop.Source.IsValid() && hop.Gateway.Is4() {
		w.priority = tosPriority(tos)
	}
	return w.down(d, nil, maxStack)
}
