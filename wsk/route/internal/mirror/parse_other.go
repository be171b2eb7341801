// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/rtattr"
)

// device is what of a network device matters to its routes.
type device struct {
	index int
	name  string
	up    bool
	// carrier: there is one, and the routes know of it. The kernel tells them (RTNH_F_LINKDOWN) up to a second later,
	// together with IFF_RUNNING.
	carrier bool
	mtu     int
	vrf     bool
}

// parseLink reads an RTM_NEWLINK or RTM_DELLINK of family AF_UNSPEC; see route.parseLink for the others.
func parseLink(b []byte) (d device, ok bool) {
	if len(b) < unix.SizeofIfInfomsg || b[0] != unix.AF_UNSPEC {
		return device{}, false
	}
	flags := binary.NativeEndian.Uint32(b[8:])
	const carrier = unix.IFF_LOWER_UP | unix.IFF_RUNNING
	d = device{index: int(nativeIndex(b[4:])), up: flags&unix.IFF_UP != 0, carrier: flags&carrier == carrier}
	rtattr.Each(b[unix.SizeofIfInfomsg:], func(a rtattr.Attr) {
		switch a.Type {
		case unix.IFLA_IFNAME:
			d.name = a.Text()
		case unix.IFLA_MTU:
			d.mtu = a.Index()
		case unix.IFLA_LINKINFO:
			rtattr.Each(a.Value, func(a rtattr.Attr) {
				if a.Type == unix.IFLA_INFO_KIND {
					d.vrf = a.Text() == "vrf"
				}
			})
		}
	})
	return d, d.index > 0 && d.name != ""
}

// address is an address of the host.
type address struct {
	ip     netip.Addr
	prefix netip.Prefix // of the peer for a point-to-point address
	device int
	flags  uint32
	scope  uint8
}

func parseAddress(b []byte) (a address, ok bool) {
	if len(b) < unix.SizeofIfAddrmsg || b[0] != unix.AF_INET && b[0] != unix.AF_INET6 {
		return address{}, false
	}
	a = address{flags: uint32(b[2]), scope: b[3], device: int(int32(binary.NativeEndian.Uint32(b[4:])))}
	var peer netip.Addr
	rtattr.Each(b[unix.SizeofIfAddrmsg:], func(at rtattr.Attr) {
		switch at.Type {
		case unix.IFA_ADDRESS:
			peer = at.Addr()
		case unix.IFA_LOCAL:
			a.ip = at.Addr()
		case unix.IFA_FLAGS:
			a.flags = at.U32()
		}
	})
	if !a.ip.IsValid() {
		a.ip = peer
	}
	if !peer.IsValid() {
		peer = a.ip
	}
	six := b[0] == unix.AF_INET6
	if !a.ip.IsValid() || a.ip.Is6() != six || peer.Is6() != six || int(b[1]) > a.ip.BitLen() {
		return address{}, false
	}
	a.prefix = netip.PrefixFrom(peer, int(b[1])).Masked()
	return a, a.device > 0
}

// Attributes of struct nhmsg's messages (linux/nexthop.h).
const (
	nhmsgLen     = 8
	nhaID        = 1
	nhaGroup     = 2
	nhaBlackhole = 4
	nhaOIF       = 5
	nhaGateway   = 6
	nhaEncapType = 7
	nhaFDB       = 11
	groupMember  = 8 // sizeof(struct nexthop_grp)
)

// object is a next hop object.
type object struct {
	device    int
	gateway   netip.Addr
	blackhole bool
	encap     bool
	group     []uint32 // ids of the members
	isGroup   bool
}

func parseObject(b []byte) (id uint32, o object, ok bool) {
	if len(b) < nhmsgLen {
		return 0, object{}, false
	}
	rtattr.Each(b[nhmsgLen:], func(a rtattr.Attr) {
		switch a.Type {
		case nhaID:
			id = a.U32()
		case nhaOIF:
			o.device = a.Index()
		case nhaGateway:
			o.gateway = a.Addr()
		case nhaBlackhole, nhaFDB:
			o.blackhole = true
		case nhaEncapType:
			o.encap = a.U16() != 0
		case nhaGroup:
			o.isGroup = true
			for g := a.Value; len(g) >= groupMember; g = g[groupMember:] {
				o.group = append(o.group, binary.NativeEndian.Uint32(g))
			}
		}
	})
	return id, o, id != 0
}

// gatewayKey names a neighbour.
type gatewayKey struct {
	device int
	ip     netip.Addr
}

// parseNeighbour reads an IPv6 neighbour.
func parseNeighbour(b []byte) (k gatewayKey, state uint16, ok bool) {
	if len(b) < unix.SizeofNdMsg || b[0] != unix.AF_INET6 {
		return gatewayKey{}, 0, false
	}
	k.device, state = int(int32(binary.NativeEndian.Uint32(b[4:]))), binary.NativeEndian.Uint16(b[8:])
	rtattr.Each(b[unix.SizeofNdMsg:], func(a rtattr.Attr) {
		if a.Type == unix.NDA_DST {
			k.ip = a.Addr()
		}
	})
	return k, state, k.ip.Is6()
}

// Attributes of linux/netconf.h.
const (
	netconfLen            = 4
	netconfIndex          = 1
	netconfIgnoreLinkdown = 6
	netconfAll            = -1
)

// parseNetconf finds out whether routes by a device without carrier are ignored; on is −1 when the message doesn't
// say.
func parseNetconf(b []byte) (six bool, index, on int, ok bool) {
	if len(b) < netconfLen || b[0] != unix.AF_INET && b[0] != unix.AF_INET6 {
		return false, 0, 0, false
	}
	on = -1
	rtattr.Each(b[netconfLen:], func(a rtattr.Attr) {
		switch a.Type {
		case netconfIndex:
			index, ok = int(int32(a.U32())), true
		case netconfIgnoreLinkdown:
			on = min(a.Index(), 1)
		}
	})
	return b[0] == unix.AF_INET6, index, on, ok
}
