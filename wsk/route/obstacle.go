// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import "fmt"

// ObstacleID says in one word why the frames of a hop are not given to AF_XDP. The words are stable: programs may count
// and compare them.
type ObstacleID uint8

// The obstacles. NoObstacle is the zero value: AF_XDP carries.
const (
	NoObstacle ObstacleID = iota
	// ObstacleLocal: the destination is this host.
	ObstacleLocal
	// ObstacleEncap: the route encapsulates (MPLS, SRv6 …).
	ObstacleEncap
	// ObstacleGone: the device, or one below it, is not there.
	ObstacleGone
	// ObstacleLinkLayer: the device does not carry Ethernet frames.
	ObstacleLinkLayer
	// ObstacleKind: nobody has shown that devices of this kind carry frames of AF_XDP as they carry the kernel's.
	ObstacleKind
	// ObstacleElsewhere: the device below is in another namespace, where what it is can't be seen.
	ObstacleElsewhere
	// ObstacleDepth: too many devices above one another.
	ObstacleDepth
	// ObstacleTags: VLAN tags that can go neither into the frame, where a device below looks for them beside it or there are more
	// than two, nor be left to the VLAN device.
	ObstacleTags
	// ObstacleVLANPriority: a VLAN device gives this traffic a priority that it can't see on frames of AF_XDP.
	ObstacleVLANPriority
	// ObstacleSnooping: a bridge sends groups only where it has heard of members, which it looks up by protocol.
	ObstacleSnooping
	// ObstacleBondMode: a bond chooses its port by what it can't see on frames of AF_XDP.
	ObstacleBondMode
	// ObstacleBondQueue: ports of a bond have queues of their own (queue_id).
	ObstacleBondQueue
	// ObstacleBondIdle: an active-backup bond has no active port.
	ObstacleBondIdle
	// ObstaclePacketInfo: a tun device tells its reader the protocol, which frames of AF_XDP don't have.
	ObstaclePacketInfo
	// ObstacleIPsec: an IPsec policy selects the datagram: the kernel is to encrypt or to block it.
	ObstacleIPsec
	// ObstaclePolicies: the IPsec policies can't be read, so that one may select the datagram.
	ObstaclePolicies

	// NumObstacles is one more than the largest ObstacleID.
	NumObstacles
)

var obstacles = [NumObstacles]struct{ word, sentence string }{
	NoObstacle:           {"none", "AF_XDP carries the frames"},
	ObstacleLocal:        {"local", "the destination is an address of this host"},
	ObstacleEncap:        {"encapsulation", "the route encapsulates, which only the kernel can do"},
	ObstacleGone:         {"gone", "the device, or one below it, is not there"},
	ObstacleLinkLayer:    {"link-layer", "the device does not carry Ethernet frames"},
	ObstacleKind:         {"kind", "devices of this kind are not known to carry frames without protocol as they carry the kernel's"},
	ObstacleElsewhere:    {"elsewhere", "the device below it is in another network namespace and can't be looked at"},
	ObstacleDepth:        {"depth", "too many devices stand on one another"},
	ObstacleTags:         {"tags", "VLAN tags inside the frame are not understood here"},
	ObstacleVLANPriority: {"vlan-priority", "its egress-qos-map gives this traffic a priority that frames of AF_XDP don't have"},
	ObstacleSnooping:     {"snooping", "it sends groups to their members only (mcast_snooping), for which it needs the protocol"},
	ObstacleBondMode:     {"bond-mode", "it chooses the port by mode or xmit_hash_policy from what frames of AF_XDP don't show"},
	ObstacleBondQueue:    {"bond-queue", "its ports have queues of their own (queue_id)"},
	ObstacleBondIdle:     {"bond-idle", "it has no active port"},
	ObstaclePacketInfo:   {"packet-info", "its reader is told the protocol (no IFF_NO_PI), which frames of AF_XDP don't have"},
	ObstacleIPsec:        {"ipsec", "an IPsec policy selects the datagram: the kernel encrypts or blocks it"},
	ObstaclePolicies: {"ipsec-unknown", "the host's IPsec policies can't be read (CAP_NET_ADMIN), and what they encrypt must not leave in clear; " +
		"AssumeNoIPsec (--assume-no-ipsec) says that there are none"},
}

// String is the word.
func (id ObstacleID) String() string {
	if id < NumObstacles {
		return obstacles[id].word
	}
	return fmt.Sprintf("ObstacleID(%d)", uint8(id))
}

// Obstacle is why the frames of a hop go through the kernel's stack instead of AF_XDP. It is comparable. The zero value says
// that there is none.
type Obstacle struct {
	ID ObstacleID
	// Device is the name of the device that is in the way, Kind what it is ("vxlan"); empty where it is none.
	Device, Kind string
}

// String is a sentence for people, with the device in front.
func (o Obstacle) String() string {
	if o.ID >= NumObstacles {
		return o.ID.String()
	}
	sentence := obstacles[o.ID].sentence
	switch {
	case o.Device == "":
		return sentence
	case o.Kind == "":
		return o.Device + ": " + sentence
	}
	return fmt.Sprintf("%s (%s): %s", o.Device, o.Kind, sentence)
}

func (d *Device) obstacle(id ObstacleID) Obstacle {
	kind := d.Kind
	if kind == "" {
		kind = d.Type.String()
	}
	return Obstacle{id, d.Name, kind}
}
