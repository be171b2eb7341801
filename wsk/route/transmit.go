// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import "slices"

// maxTags is how many VLAN tags a frame gets at most (frame.MaxVLANTags).
const maxTags = 2

// Egress is where the frames of a hop enter the kernel again.
type Egress struct {
	// Device is what the AF_XDP socket is bound to.
	Device Device
	// VLANs are the tags to put on the frame, the outermost first.
	VLANs []VLAN
}

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

// tosPriority is the priority that IPv4 gives datagrams with this TOS (net/ipv4/route.c, ip_tos2prio). IPv6 gives none.
func tosPriority(tos uint8) uint8 {
	return [4]uint8{0, 2, 6, 4}[tos>>3&3]
}

// down finds where to bind for frames of d. tags are those of the VLAN devices above that were left out, the innermost first.
func (w *walk) down(d *Device, tags []VLAN, depth int) (Egress, Obstacle) {
	if depth == 0 {
		return Egress{}, d.obstacle(ObstacleDepth)
	}
	switch {
	case d.Type == TypeVLAN:
		return w.vlan(d, tags, depth)
	case d.Type == TypeBond && d.mode == bondActiveBackup:
		return w.active(d, tags, depth)
	case d.Type == TypeMACVLAN && (d.mode == macvlanPrivate || d.mode == macvlanVEPA || d.mode == macvlanPassthru):
		lower, o := w.below(d)
		if lower == nil {
			return Egress{}, o
		}
		return w.down(lower, tags, depth-1)
	}
	if o := w.carries(d, len(tags) > 0, depth); o.ID != NoObstacle {
		return Egress{}, o
	}
	tags = slices.Clone(tags)
	slices.Reverse(tags)
	return Egress{*d, tags}, Obstacle{}
}

// vlan leaves a VLAN device out: its tag goes into the frame. Where that can't be, the frame goes to the VLAN device itself, if the
// priority that it gives to all frames of AF_XDP is the right one.
func (w *walk) vlan(d *Device, tags []VLAN, depth int) (Egress, Obstacle) {
	lower, o := w.below(d)
	if lower == nil {
		return Egress{}, o
	}
	if len(tags) == maxTags {
		return Egress{}, d.obstacle(ObstacleTags)
	}
	tag := d.VLAN
	tag.Priority = d.priorities[w.priority]
	e, o := w.down(lower, append(tags[:len(tags):len(tags)], tag), depth-1)
	if o.ID != ObstacleTags || len(tags) > 0 {
		return e, o
	}
	if o := w.carries(d, false, depth); o.ID != NoObstacle {
		return Egress{}, o
	}
	return Egress{Device: *d}, Obstacle{}
}

// active leaves an active-backup bond out.
func (w *walk) active(d *Device, tags []VLAN, depth int) (Egress, Obstacle) {
	if o := w.queues(d); o.ID != NoObstacle {
		return Egress{}, o
	}
	port := w.devices[d.activeSlave]
	if port == nil {
		return Egress{}, d.obstacle(ObstacleBondIdle)
	}
	return w.down(port, tags, depth-1)
}
