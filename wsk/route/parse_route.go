// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/rtattr"
)

const rtmLen = unix.SizeofRtMsg

// answer is what the kernel said to an RTM_GETROUTE.
type answer struct {
	typ     uint8 // RTN_*
	index   int
	gateway netip.Addr // of either family; invalid when the destination is on the link
	source  netip.Addr
	mtu     int // RTAX_MTU, 0 when there is none
	encap   bool
}

// parseRoute reads the RTM_NEWROUTE that answers a request for one destination.
func parseRoute(b []byte) (answer, bool) {
	if len(b) < rtmLen || (b[0] != unix.AF_INET && b[0] != unix.AF_INET6) {
		return answer{}, false
	}
	r := answer{typ: b[7]}
	is4 := b[0] == unix.AF_INET
	rtattr.Each(b[rtmLen:], func(a rtattr.Attr) {
		switch a.Type {
		case unix.RTA_OIF:
			r.index = a.Index()
		case unix.RTA_GATEWAY:
			if ip := a.Addr(); ip.IsValid() && ip.Is4() == is4 {
				r.gateway = ip
			}
		case unix.RTA_VIA:
			if ip, ok := parseVia(a.Value); ok {
				r.gateway = ip
			}
		case unix.RTA_PREFSRC:
			if ip := a.Addr(); ip.IsValid() && ip.Is4() == is4 {
				r.source = ip
			}
		case unix.RTA_ENCAP_TYPE:
			r.encap = a.U16() != 0
		case unix.RTA_METRICS:
			rtattr.Each(a.Value, func(m rtattr.Attr) {
				if m.Type == unix.RTAX_MTU {
					r.mtu = m.Index()
				}
			})
		}
	})
	return r, true
}

// parseVia reads struct rtvia (linux/rtnetlink.h): the family, then the address. It is how an IPv4 route goes over an IPv6
// next hop (RFC 5549).
func parseVia(b []byte) (netip.Addr, bool) {
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
