// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/rtattr"
)

const (
	ifinfoLen = unix.SizeofIfInfomsg

	// devconfMTU6 is the index of the IPv6 MTU in IFLA_INET6_CONF (linux/ipv6.h, DEVCONF_MTU6).
	devconfMTU6 = 2
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
	var info []byte
	hasMTU, elsewhere := false, false
	rtattr.Each(b[ifinfoLen:], func(a rtattr.Attr) {
		switch a.Type {
		case unix.IFLA_IFNAME:
			d.Name = a.Text()
		case unix.IFLA_ADDRESS:
			if d.Ethernet && len(a.Value) == len(d.MAC) {
				copy(d.MAC[:], a.Value)
			}
		case unix.IFLA_BROADCAST:
			if d.Ethernet && len(a.Value) == len(d.broadcast) {
				copy(d.broadcast[:], a.Value)
			}
		case unix.IFLA_MTU:
			d.MTU, hasMTU = a.Index(), len(a.Value) == 4
		case unix.IFLA_LINK:
			link = a.Index()
		case unix.IFLA_LINK_NETNSID:
			elsewhere = true
		case unix.IFLA_MASTER:
			d.Master = a.Index()
		case unix.IFLA_NUM_TX_QUEUES:
			d.TxQueues = a.Index()
		case unix.IFLA_NUM_RX_QUEUES:
			d.RxQueues = a.Index()
		case unix.IFLA_CARRIER:
			d.Carrier = a.U8() != 0
		case unix.IFLA_AF_SPEC:
			rtattr.Each(a.Value, func(a rtattr.Attr) {
				if a.Type == unix.AF_INET6 {
					d.MTU6, _ = parseInet6MTU(a.Value)
				}
			})
		case unix.IFLA_LINKINFO:
			info = a.Value
		}
	})
	if !hasMTU || d.Name == "" {
		return Device{}, false
	}
	d.setInfo(info, hardware, flags, link, elsewhere)
	return d, true
}

// parseInet6MTU finds the IPv6 MTU in the attributes of IFLA_PROTINFO, or of AF_INET6 in IFLA_AF_SPEC.
func parseInet6MTU(b []byte) (mtu int, ok bool) {
	rtattr.Each(b, func(a rtattr.Attr) {
		if a.Type == unix.IFLA_INET6_CONF && len(a.Value) >= 4*(devconfMTU6+1) {
			mtu, ok = rtattr.Attr{Value: a.Value[4*devconfMTU6:]}.Index(), true
		}
	})
	return mtu, ok
}

// parseLink6 reads an RTM_NEWLINK of family AF_INET6, which IPv6 sends when its own settings of a device change.
func parseLink6(b []byte) (index, mtu int, ok bool) {
	if len(b) < ifinfoLen || b[0] != unix.AF_INET6 {
		return 0, 0, false
	}
	rtattr.Each(b[ifinfoLen:], func(a rtattr.Attr) {
		if a.Type == unix.IFLA_PROTINFO {
			mtu, ok = parseInet6MTU(a.Value)
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
