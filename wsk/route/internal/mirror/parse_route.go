// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/rtattr"
)

const (
	rtmLen      = unix.SizeofRtMsg
	rtNexthop   = unix.SizeofRtNexthop
	maxSiblings = 1024
	dying       = 200                                        // hundredths of a second
	routeFlags  = unix.RTNH_F_ONLINK | unix.RTNH_F_PERVASIVE // of a route as it was made; others tell its state

	rtaNexthopID = 30 // RTA_NH_ID, linux/rtnetlink.h
)

// announced is one RTM_NEWROUTE or RTM_DELROUTE.
type announced struct {
	prefix netip.Prefix
	table  uint32
	typ    uint8
	tos    uint8
	metric uint32
	key    key
	// siblings are the next hops of an IPv6 multipath route; key is what they have in common.
	siblings []leg
	expires  uint32 // IPv6: hundredths of a second, 0 for never
	cloned   bool   // what the kernel has learned about one destination, no route
}

// parseRoute reads the body of a message into a, which it may have been given before. false: it is malformed, or of
// another family.
func parseRoute(b []byte, a *announced) bool {
	if len(b) < rtmLen || b[0] != unix.AF_INET && b[0] != unix.AF_INET6 {
		return false
	}
	flags := binary.NativeEndian.Uint32(b[8:])
	*a = announced{
		table: uint32(b[4]), tos: b[3], typ: b[7], cloned: flags&unix.RTM_F_CLONED != 0, siblings: a.siblings[:0],
		key: key{six: b[0] == unix.AF_INET6, scope: b[6], kernel: b[5] == unix.RTPROT_KERNEL},
	}
	a.key.rest = fold(0, b[5], byte(flags)&routeFlags)
	dst, src := anyAddress(a.key.six), anyAddress(a.key.six)
	for rest := b[rtmLen:]; ; {
		at, more, ok := rtattr.Next(rest)
		if !ok {
			break
		}
		rest = more
		switch at.Type {
		case unix.RTA_DST:
			dst = at.Addr()
		case unix.RTA_SRC:
			src = at.Addr()
		case unix.RTA_TABLE:
			a.table = at.U32()
		case unix.RTA_PRIORITY:
			a.metric = at.U32()
		case unix.RTA_CACHEINFO:
			if len(at.Value) >= 12 {
				a.expires = uint32(max(int32(binary.NativeEndian.Uint32(at.Value[8:])), 0))
			}
		case unix.RTA_MULTIPATH:
			if !a.multipath(at.Value) {
				return false
			}
		default:
			a.key.attribute(at)
		}
	}
	if !a.prefixes(dst, src, b[1], b[2]) {
		return false
	}
	a.settle()
	return true
}

func anyAddress(six bool) netip.Addr {
	if six {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// prefixes takes the destination and, for IPv6, the range of sources.
func (a *announced) prefixes(dst, src netip.Addr, dstBits, srcBits uint8) bool {
	if dst.Is6() != a.key.six || src.Is6() != a.key.six || int(dstBits) > dst.BitLen() || int(srcBits) > src.BitLen() {
		return false
	}
	a.prefix = netip.PrefixFrom(dst, int(dstBits)).Masked()
	if srcBits != 0 && a.key.six {
		a.key.from = netip.PrefixFrom(src, int(srcBits)).Masked()
	}
	return true
}

// settle brings equal routes into one form.
func (a *announced) settle() {
	if a.key.six {
		a.tos, a.key.scope = 0, 0
		a.key.rest, a.key.legsRest = 0, 0 // one next hop at one metric is one route, whatever else it has
		a.key.dying = a.expires != 0 && a.expires < dying
	}
	if a.key.object != 0 {
		// The kernel may or may not add what the object is now.
		a.key.device, a.key.gateway, a.key.encap, a.key.legs, a.siblings = 0, netip.Addr{}, false, "", a.siblings[:0]
		a.key.legsRest = 0
	}
	if isError(a.typ) {
		a.key.device, a.key.gateway = 0, netip.Addr{}
	}
}

// attribute takes what stands in a message as well as in one next hop of a multipath route.
func (k *key) attribute(at rtattr.Attr) {
	switch at.Type {
	case unix.RTA_OIF:
		k.device = at.Index()
	case unix.RTA_GATEWAY:
		if ip := at.Addr(); ip.IsValid() && ip.Is6() == k.six {
			k.gateway = ip
		}
	case unix.RTA_VIA:
		if ip, ok := via(at.Value); ok {
			k.gateway = ip
		}
	case unix.RTA_PREFSRC:
		if ip := at.Addr(); ip.IsValid() && ip.Is6() == k.six {
			k.source = ip
		}
	case unix.RTA_METRICS:
		k.rest = fold(k.rest, at.Value...)
		rtattr.Each(at.Value, func(m rtattr.Attr) {
			if m.Type == unix.RTAX_MTU {
				k.mtu = m.Index()
			}
		})
	case unix.RTA_ENCAP_TYPE:
		k.encap = at.U16() != 0
		k.legsRest = fold(k.legsRest, at.Value...)
	case unix.RTA_ENCAP, unix.RTA_FLOW:
		k.legsRest = fold(k.legsRest, at.Value...)
	case rtaNexthopID:
		k.object = at.U32()
	}
}

// via reads struct rtvia: a family, then an address.
func via(b []byte) (netip.Addr, bool) {
	if len(b) < 2 {
		return netip.Addr{}, false
	}
	ip, ok := netip.AddrFromSlice(b[2:])
	switch binary.NativeEndian.Uint16(b) {
	case unix.AF_INET:
		return ip, ok && ip.Is4()
	case unix.AF_INET6:
		return ip, ok && ip.Is6()
	}
	return netip.Addr{}, false
}

// multipath reads the list of struct rtnexthop, each followed by its attributes.
func (a *announced) multipath(b []byte) bool {
	for n := 0; len(b) > 0; n++ {
		if len(b) < rtNexthop || n >= maxSiblings {
			return false
		}
		size := int(binary.NativeEndian.Uint16(b))
		if size < rtNexthop || size > len(b) {
			return false
		}
		k := key{six: a.key.six, device: int(int32(binary.NativeEndian.Uint32(b[4:])))}
		rtattr.Each(b[rtNexthop:size], k.attribute)
		l := leg{k.device, k.gateway, k.encap}
		if a.key.six {
			a.siblings = append(a.siblings, l)
		} else {
			a.key.legs = addLeg(a.key.legs, l)
			more := binary.NativeEndian.AppendUint32([]byte{b[2] & routeFlags, b[3]}, k.legsRest)
			a.key.legsRest = fold(a.key.legsRest, more...)
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return true
}
