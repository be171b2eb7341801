// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/rtattr"
)

const (
	// linux/if_link.h, attributes inside IFLA_INFO_DATA of each kind.
	iflaVLANID        = 1
	iflaVLANEgressQoS = 3
	iflaVLANProtocol  = 5
	iflaMACVLANMode   = 1
	iflaBondMode      = 1
	iflaBondActive    = 2
	iflaBondHash      = unix.IFLA_BOND_XMIT_HASH_POLICY

	ethertype8021Q = 0x8100
)

// setInfo reads IFLA_LINKINFO: what the device is, and what it is a port of. link is IFLA_LINK, in another namespace if
// elsewhere.
func (d *Device) setInfo(info []byte, hardware uint16, flags uint32, link int, elsewhere bool) {
	var data, port []byte
	ofBond := false
	rtattr.Each(info, func(a rtattr.Attr) {
		switch a.Type {
		case unix.IFLA_INFO_KIND:
			d.Kind = a.Text()
		case unix.IFLA_INFO_DATA:
			data = a.Value
		case unix.IFLA_INFO_SLAVE_KIND:
			ofBond = a.Text() == "bond"
		case unix.IFLA_INFO_SLAVE_DATA:
			port = a.Value
		}
	})
	d.Type = deviceType(d.Kind, hardware, flags)
	d.setKind(data, link, elsewhere)
	if ofBond {
		rtattr.Each(port, func(a rtattr.Attr) {
			if a.Type == unix.IFLA_BOND_SLAVE_QUEUE_ID {
				d.bondQueue = a.U16()
			}
		})
	}
}

// setKind fills in what each kind says about itself and about the device that it stands on. A veth's IFLA_LINK is its
// peer, not a device below.
func (d *Device) setKind(data []byte, link int, elsewhere bool) {
	switch d.Type {
	case TypeVLAN:
		d.setVLAN(data)
	case TypeMACVLAN:
		rtattr.Each(data, func(a rtattr.Attr) {
			if a.Type == iflaMACVLANMode {
				d.mode = a.U32()
			}
		})
	case TypeBond:
		rtattr.Each(data, func(a rtattr.Attr) {
			switch a.Type {
			case iflaBondMode:
				d.mode = uint32(a.U8())
			case iflaBondActive:
				d.activeSlave = a.Index()
			case iflaBondHash:
				d.hashPolicy = a.U8()
			}
		})
		return
	case TypeBridge:
		rtattr.Each(data, func(a rtattr.Attr) {
			if a.Type == unix.IFLA_BR_MCAST_SNOOPING {
				d.snooping = a.U8() != 0
			}
		})
		return
	case TypeTun:
		rtattr.Each(data, func(a rtattr.Attr) {
			if a.Type == unix.IFLA_TUN_PI {
				d.packetInfo = a.U8() != 0
			}
		})
		return
	case TypePhysical:
		d.stacked = elsewhere || link != 0 && link != d.Index
		return
	default:
		return
	}
	d.ParentElsewhere = elsewhere
	if !elsewhere {
		d.Parent = link
	}
}

// setVLAN reads the tag and the priorities. The map has an entry for each priority that has a PCP of its own
// (struct ifla_vlan_qos_mapping).
func (d *Device) setVLAN(data []byte) {
	d.VLAN.Proto = ethertype8021Q
	rtattr.Each(data, func(a rtattr.Attr) {
		switch a.Type {
		case iflaVLANID:
			d.VLAN.ID = a.U16()
		case iflaVLANProtocol:
			d.VLAN.Proto = a.BE16()
		case iflaVLANEgressQoS:
			rtattr.Each(a.Value, func(a rtattr.Attr) {
				if a.Type != unix.IFLA_VLAN_QOS_MAPPING || len(a.Value) < 8 {
					return
				}
				from, to := a.U32(), rtattr.Attr{Value: a.Value[4:]}.U32()
				if from < uint32(len(d.priorities)) {
					d.priorities[from] = uint8(to & 7)
				}
			})
		}
	})
}

func deviceType(kind string, hardware uint16, flags uint32) DeviceType {
	switch kind {
	case "veth":
		return TypeVeth
	case "vlan":
		return TypeVLAN
	case "bond":
		return TypeBond
	case "macvlan":
		return TypeMACVLAN
	case "bridge":
		return TypeBridge
	case "dummy":
		return TypeDummy
	case "tun":
		return TypeTun
	case "":
		switch {
		case flags&unix.IFF_LOOPBACK != 0:
			return TypeLoopback
		case hardware == unix.ARPHRD_ETHER:
			return TypePhysical
		}
	}
	return TypeOther
}
