// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	ifinfoLen = unix.SizeofIfInfomsg

	// linux/if_link.h, attributes inside IFLA_INFO_DATA of each kind.
	iflaVLANID        = 1
	iflaVLANEgressQoS = 3
	iflaVLANProtocol  = 5
	iflaMACVLANMode   = 1
	iflaBondMode      = 1
	iflaBondActive    = 2

	// devconfMTU6 is the index of the IPv6 MTU in IFLA_INET6_CONF (linux/ipv6.h, DEVCONF_MTU6).
	devconfMTU6 = 2

	ethertype8021Q = 0x8100
)

// parseLink reads an RTM_NEWLINK of family AF_UNSPEC. ok is false for a message of another family (a bridge
// reports the state of its ports so), for a partial one (wireless extensions) and for a malformed one.
func parseLink(b []byte) (d Device, ok bool) {
	if len(b) < ifinfoLen || b[0] != unix.AF_UNSPEC {
		return Device{}, false
	}
	hardware := binary.NativeEndian.Uint16(b[2:])
	index := int32(binary.NativeEndian.Uint32(b[4:]))
	flags := binary.NativeEndian.Uint32(b[8:])
	if index <= 0 {
		return Device{}, false
	}
	d = Device{
		Index:        int(index),
		Up:           flags&unix.IFF_UP != 0,
		Carrier:      flags&unix.IFF_LOWER_UP != 0,
		NoARP:        flags&(unix.IFF_NOARP|unix.IFF_LOOPBACK) != 0,
		PointToPoint: flags&unix.IFF_POINTOPOINT != 0,
		Ethernet:     hardware == unix.ARPHRD_ETHER || hardware == unix.ARPHRD_LOOPBACK,
	}
	var link int
	var info, data []byte
	hasMTU, elsewhere := false, false
	each(b[ifinfoLen:], func(a attr) {
		switch a.typ {
		case unix.IFLA_IFNAME:
			d.Name = a.text()
		case unix.IFLA_ADDRESS:
			if d.Ethernet && len(a.value) == len(d.MAC) {
				copy(d.MAC[:], a.value)
			}
		case unix.IFLA_BROADCAST:
			if d.Ethernet && len(a.value) == len(d.broadcast) {
				copy(d.broadcast[:], a.value)
			}
		case unix.IFLA_MTU:
			d.MTU, hasMTU = a.index(), len(a.value) == 4
		case unix.IFLA_LINK:
			link = a.index()
		case unix.IFLA_LINK_NETNSID:
			elsewhere = true
		case unix.IFLA_MASTER:
			d.Master = a.index()
		case unix.IFLA_NUM_TX_QUEUES:
			d.TxQueues = a.index()
		case unix.IFLA_NUM_RX_QUEUES:
			d.RxQueues = a.index()
		case unix.IFLA_CARRIER:
			d.Carrier = a.u8() != 0
		case unix.IFLA_AF_SPEC:
			each(a.value, func(a attr) {
				if a.typ == unix.AF_INET6 {
					d.MTU6, _ = parseInet6MTU(a.value)
				}
			})
		case unix.IFLA_LINKINFO:
			info = a.value
		}
	})
	if !hasMTU || d.Name == "" {
		return Device{}, false
	}
	each(info, func(a attr) {
		switch a.typ {
		case unix.IFLA_INFO_KIND:
			d.Kind = a.text()
		case unix.IFLA_INFO_DATA:
			data = a.value
		}
	})
	d.Type = deviceType(d.Kind, hardware, flags)
	d.setLower(data, link, elsewhere)
	return d, true
}

// setLower fills in what the kinds that stand on another device say about it. A veth's IFLA_LINK is its peer, not a
// device below.
func (d *Device) setLower(data []byte, link int, elsewhere bool) {
	switch d.Type {
	case TypeVLAN:
		d.VLAN.Proto = ethertype8021Q
		each(data, func(a attr) {
			switch a.typ {
			case iflaVLANID:
				d.VLAN.ID = a.u16()
			case iflaVLANProtocol:
				d.VLAN.Proto = a.be16()
			case iflaVLANEgressQoS:
				d.vlanPriorities = len(a.value) > 0
			}
		})
	case TypeMACVLAN:
		each(data, func(a attr) {
			if a.typ == iflaMACVLANMode {
				d.mode = a.u32()
			}
		})
	case TypeBond:
		each(data, func(a attr) {
			switch a.typ {
			case iflaBondMode:
				d.mode = uint32(a.u8())
			case iflaBondActive:
				d.activeSlave = a.index()
			}
		})
		return
	default:
		return
	}
	d.ParentElsewhere = elsewhere
	if !elsewhere {
		d.Parent = link
	}
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

// parseInet6MTU finds the IPv6 MTU in the attributes of IFLA_PROTINFO, or of AF_INET6 in IFLA_AF_SPEC.
func parseInet6MTU(b []byte) (mtu int, ok bool) {
	each(b, func(a attr) {
		if a.typ == unix.IFLA_INET6_CONF && len(a.value) >= 4*(devconfMTU6+1) {
			mtu, ok = attr{value: a.value[4*devconfMTU6:]}.index(), true
		}
	})
	return mtu, ok
}

// parseLink6 reads an RTM_NEWLINK of family AF_INET6, which IPv6 sends when its own settings of a device change.
func parseLink6(b []byte) (index, mtu int, ok bool) {
	if len(b) < ifinfoLen || b[0] != unix.AF_INET6 {
		return 0, 0, false
	}
	each(b[ifinfoLen:], func(a attr) {
		if a.typ == unix.IFLA_PROTINFO {
			mtu, ok = parseInet6MTU(a.value)
		}
	})
	index = int(int32(binary.NativeEndian.Uint32(b[4:])))
	return index, mtu, ok && index > 0
}

// parseLinkGone reads an RTM_DELLINK. Family AF_BRIDGE says only that a port has left its bridge, and AF_INET6 that
// IPv6 was switched off.
func parseLinkGone(b []byte) (index int, ok bool) {
	if len(b) < ifinfoLen || b[0] != unix.AF_UNSPEC {
		return 0, false
	}
	index = int(int32(binary.NativeEndian.Uint32(b[4:])))
	return index, index > 0
}
