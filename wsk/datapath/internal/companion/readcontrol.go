// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// ancillary is what the kernel tells about a datagram or an ICMP error beside its payload, in control messages.
type ancillary struct {
	destination [16]byte
	ifindex     uint32
	ttl, tos    uint8
	overIPv6    bool
	segment     uint32
	failed      bool // it is an error:
	errno       uint32
	origin      uint8
	err         wsk.ReceiveError
}

// parse reads the control messages. Only the kernel writes them, but lengths are checked all the same.
func (a *ancillary) parse(b []byte) {
	*a = ancillary{}
	for len(b) >= unix.SizeofCmsghdr {
		n := binary.NativeEndian.Uint64(b)
		if n < unix.SizeofCmsghdr || n > uint64(len(b)) {
			return
		}
		level, typ := binary.NativeEndian.Uint32(b[8:]), binary.NativeEndian.Uint32(b[12:])
		a.take(level, typ, b[unix.SizeofCmsghdr:n])
		b = b[min(uint64(len(b)), (n+7)&^7):]
	}
}

func (a *ancillary) take(level, typ uint32, data []byte) {
	const l4, l6 = unix.IPPROTO_IP << 16, unix.IPPROTO_IPV6 << 16
	switch what := level<<16 | typ; {
	case what == l4|unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo: // ifindex, spec_dst, addr
		a.ifindex = binary.NativeEndian.Uint32(data)
		a.destination = ipaddr.From4(data[8:])
	case what == l6|unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo: // addr, ifindex
		copy(a.destination[:], data)
		a.ifindex = binary.NativeEndian.Uint32(data[16:])
	case what == l4|unix.IP_TTL && len(data) >= 4:
		a.ttl = uint8(binary.NativeEndian.Uint32(data))
	case what == l6|unix.IPV6_HOPLIMIT && len(data) >= 4: // not for IPv4 on an IPv6 socket, while IPV6_PKTINFO is
		a.ttl, a.overIPv6 = uint8(binary.NativeEndian.Uint32(data)), true
	case what == l4|unix.IP_TOS && len(data) >= 1:
		a.tos = data[0] // one byte here, four on the way out
	case what == l6|unix.IPV6_TCLASS && len(data) >= 4:
		a.tos = uint8(binary.NativeEndian.Uint32(data))
	case what == unix.IPPROTO_UDP<<16|unix.UDP_GRO && len(data) >= 4:
		a.segment = binary.NativeEndian.Uint32(data)
	case (what == l4|unix.IP_RECVERR || what == l6|unix.IPV6_RECVERR) && len(data) >= extendedErrLen:
		a.readError(data)
	}
}

// extendedErrLen is the size of struct sock_extended_err of linux/errqueue.h: errno, origin, type, code, pad, info,
// data.
const extendedErrLen = 16

func (a *ancillary) readError(data []byte) {
	a.failed, a.errno, a.origin = true, binary.NativeEndian.Uint32(data), data[4]
	a.err = wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: data[5], Code: data[6]}
	if a.origin == unix.SO_EE_ORIGIN_ICMP6 {
		a.err.Protocol = wsk.IPPROTO_ICMPV6
	}
	if a.errno == uint32(unix.EMSGSIZE) {
		a.err.Info = binary.NativeEndian.Uint32(data[8:])
	}
}

// fromICMP reports whether the error is one that somebody out there has sent.
func (a *ancillary) fromICMP() bool {
	return a.failed && (a.origin == unix.SO_EE_ORIGIN_ICMP || a.origin == unix.SO_EE_ORIGIN_ICMP6)
}

// kernelAddress reads a struct sockaddr_in or sockaddr_in6.
func kernelAddress(b []byte) (a wsk.Address, ok bool) {
	if len(b) < unix.SizeofSockaddrInet4 {
		return a, false
	}
	a.Port = binary.BigEndian.Uint16(b[2:])
	switch binary.NativeEndian.Uint16(b) {
	case unix.AF_INET:
		a.Addr = ipaddr.From4(b[4:])
		return a, true
	case unix.AF_INET6:
		if len(b) < unix.SizeofSockaddrInet6 {
			return a, false
		}
		copy(a.Addr[:], b[8:24])
		if ipaddr.Load(&a.Addr).IsLinkLocal6() {
			a.Scope = binary.NativeEndian.Uint32(b[24:])
		}
		return a, true
	}
	return a, false
}
