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

// tosPriorities are the priorities that datagrams of UDP can have.
var tosPriorities = [4]uint8{0, 2, 6, 4}

// tosPriority is the priority that IPv4 gives datagrams with this TOS (net/ipv4/route.c, ip_tos2prio). IPv6 gives none.
func tosPriority(tos uint8) uint8 { return tosPriorities[tos>>3&3] }
