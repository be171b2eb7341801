// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"fmt"
	"net/netip"
)

// DeviceType is what a network device is, as far as sending is concerned.
type DeviceType uint8

// The types of devices. TypeOther is everything without a rule of its own (tunnels, team, ipvlan, vrf …).
const (
	TypeOther DeviceType = iota
	TypePhysical
	TypeLoopback
	TypeVeth
	TypeVLAN
	TypeBond
	TypeMACVLAN
	TypeBridge
	TypeDummy
	TypeTun
)

var deviceTypeNames = [...]string{
	TypeOther: "other", TypePhysical: "physical", TypeLoopback: "loopback", TypeVeth: "veth", TypeVLAN: "vlan",
	TypeBond: "bond", TypeMACVLAN: "macvlan", TypeBridge: "bridge", TypeDummy: "dummy", TypeTun: "tun",
}

func (t DeviceType) String() string {
	if int(t) < len(deviceTypeNames) {
		return deviceTypeNames[t]
	}
	return fmt.Sprintf("DeviceType(%d)", uint8(t))
}

// VLAN is one tag of IEEE 802.1Q.
type VLAN struct {
	ID    uint16 // 0–4095
	Proto uint16 // EtherType in host order: 0x8100 (802.1Q) or 0x88A8 (802.1ad)
	// Priority is the PCP, 0–7, for tags of Transmit. It is 0 in Device.VLAN.
	Priority uint8
}

// Device is a network device as the kernel announced it. It is a comparable value and stays the caller's.
type Device struct {
	Index int
	Name  string
	MAC   [6]byte // zero when the device is not an Ethernet one
	MTU   int     // largest IP packet in bytes
	MTU6  int     // the same for IPv6, which a router advertisement can lower; 0 when IPv6 is off on the device
	Type  DeviceType
	Kind  string // rtnetlink's name of the type ("veth", "vxlan"); empty for hardware

	Up       bool // administratively up
	Carrier  bool
	Ethernet bool // frames start with an Ethernet header (loopback's do)
	NoARP    bool // there are no neighbours to resolve
	// PointToPoint devices have one other end and send everything to it.
	PointToPoint bool

	// TxQueues and RxQueues are the queues that were allocated. The number in use can be smaller (ethtool -l).
	TxQueues, RxQueues int

	// Parent is the index of the device below (VLAN, macvlan), else 0. It is 0 too when that one is in another
	// namespace: ParentElsewhere is set then.
	Parent          int
	ParentElsewhere bool
	// Master is the index of the bond, bridge, team or VRF that this device is a port of, else 0.
	Master int
	// VLAN is the tag of a VLAN device.
	VLAN VLAN

	// priorities is the PCP that a VLAN device gives to each priority that UDP can have (egress-qos-map).
	priorities [8]uint8
	// mode is the mode of a bond (IFLA_BOND_MODE) or of a macvlan (IFLA_MACVLAN_MODE).
	mode uint32
	// activeSlave is the port that an active-backup bond sends through, or 0; hashPolicy its xmit_hash_policy.
	activeSlave int
	hashPolicy  uint8
	// bondQueue is the queue_id of the port of a bond.
	bondQueue uint16
	// snooping: the bridge sends groups to their members only (mcast_snooping).
	snooping bool
	// packetInfo: each frame that a tun device's reader gets has a header with its protocol (no IFF_NO_PI).
	packetInfo bool
	// stacked: a device without a kind that names one below it, as a switch port does before Linux 6.0 (DSA).
	stacked bool
	// broadcast is the link-layer broadcast address, which point-to-point devices send to.
	broadcast [6]byte
}

// samePath reports whether both descriptions lead a datagram the same way: everything but up and carrier.
func (d Device) samePath(e Device) bool {
	d.Up, d.Carrier = e.Up, e.Carrier
	return d == e
}

// Address is an address of this host.
type Address struct {
	IP        netip.Addr   // without zone
	Prefix    netip.Prefix // the network on the link, masked; the peer's for a point-to-point address
	Broadcast netip.Addr   // IPv4, where one is set
	Interface int
	// Tentative: duplicate address detection runs or has failed; the address can't be used yet.
	Tentative bool
	// Deprecated: usable, but never chosen for new communication (RFC 4862 section 5.5.4).
	Deprecated bool

	scope uint8
}

// kindVRF is the kind of a VRF device.
const kindVRF = "vrf"
