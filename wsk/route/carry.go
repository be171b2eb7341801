// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

// Modes and policies from linux/if_bonding.h and linux/if_link.h.
const (
	bondRoundRobin   = 0
	bondActiveBackup = 1
	bondXOR          = 2
	bondBroadcast    = 3
	bondLACP         = 4

	bondHashLayer2 = 0

	macvlanPrivate  = 1
	macvlanVEPA     = 2
	macvlanPassthru = 8
)

// walk is the way of one frame down a stack of devices.
type walk struct {
	*snapshot
	group    bool  // the destination is a group
	priority uint8 // skb->priority of the kernel's datagram
}

// carries tells what is in the way when the driver of d gets a frame of AF_XDP, from the socket or from the driver of a device
// above. tagged: the frame has a tag inside. The kernel's would have it beside the frame.
func (w *walk) carries(d *Device, tagged bool, depth int) Obstacle {
	if depth == 0 {
		return d.obstacle(ObstacleDepth)
	}
	if !d.Ethernet {
		return d.obstacle(ObstacleLinkLayer)
	}
	switch d.Type {
	case TypePhysical:
		if d.stacked {
			return d.obstacle(ObstacleKind)
		}
		return Obstacle{}
	case TypeVeth, TypeDummy:
		return Obstacle{}
	case TypeTun:
		if d.packetInfo {
			return d.obstacle(ObstaclePacketInfo)
		}
		return Obstacle{}
	case TypeVLAN:
		// It puts the tag beside the frame, with the priority of frames that have none.
		if d.priorities[w.priority] != d.priorities[0] {
			return d.obstacle(ObstacleVLANPriority)
		}
		return w.carriesBelow(d, tagged, depth)
	case TypeMACVLAN:
		return w.carriesBelow(d, tagged, depth)
	case TypeBond:
		return w.bond(d, tagged, depth)
	case TypeBridge:
		return w.bridge(d, tagged, depth)
	}
	return d.obstacle(ObstacleKind)
}

func (w *walk) carriesBelow(d *Device, tagged bool, depth int) Obstacle {
	lower, o := w.below(d)
	if lower == nil {
		return o
	}
	return w.carries(lower, tagged, depth-1)
}

// bond: by turns and to all ports need nothing of the frame. The hash of layer2 takes the MAC addresses and the EtherType from the
// frame (drivers/net/bonding/bond_main.c, bond_eth_hash), which a tag inside it changes; the other hashes, and the modes that
// balance by address, want protocol and offsets.
func (w *walk) bond(d *Device, tagged bool, depth int) Obstacle {
	switch d.mode {
	case bondRoundRobin, bondActiveBackup, bondBroadcast:
	case bondXOR, bondLACP:
		if d.hashPolicy != bondHashLayer2 {
			return d.obstacle(ObstacleBondMode)
		}
		if tagged {
			return d.obstacle(ObstacleTags)
		}
	default:
		return d.obstacle(ObstacleBondMode)
	}
	if o := w.queues(d); o.ID != NoObstacle {
		return o
	}
	return w.ports(d, tagged, depth)
}

// queues: a bond then chooses the port by the queue that the kernel's datagram would have had.
func (w *walk) queues(d *Device) Obstacle {
	for _, port := range w.devices {
		if port.Master == d.Index && port.bondQueue != 0 {
			return d.obstacle(ObstacleBondQueue)
		}
	}
	return Obstacle{}
}

// bridge: it forwards by MAC address and, with vlan_filtering, by a tag beside the frame; one inside it has no effect there
// (net/bridge/br_vlan.c, br_allowed_ingress). It finds the members of a group by protocol (net/bridge/br_mdb.c).
func (w *walk) bridge(d *Device, tagged bool, depth int) Obstacle {
	switch {
	case tagged:
		return d.obstacle(ObstacleTags)
	case w.group && d.snooping:
		return d.obstacle(ObstacleSnooping)
	}
	return w.ports(d, false, depth)
}

// ports looks at all ports of d, whatever their state: that changes without a new generation.
// Of several obstacles it tells that of the port with the lowest index, the same every time.
func (w *walk) ports(d *Device, tagged bool, depth int) (first Obstacle) {
	at := 0
	for index, port := range w.devices {
		if port.Master != d.Index || first.ID != NoObstacle && index > at {
			continue
		}
		if o := w.carries(port, tagged, depth-1); o.ID != NoObstacle {
			first, at = o, index
		}
	}
	return first
}

// below is the device that d stands on.
func (w *walk) below(d *Device) (*Device, Obstacle) {
	if d.ParentElsewhere {
		return nil, d.obstacle(ObstacleElsewhere)
	}
	if lower := w.devices[d.Parent]; lower != nil {
		return lower, Obstacle{}
	}
	return nil, d.obstacle(ObstacleGone)
}
