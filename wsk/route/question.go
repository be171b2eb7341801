// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// question is a query in the one form that the cache and the kernel see: no zones, and nothing that can't matter.
type question struct {
	dst, src netip.Addr // src is invalid when the kernel is to choose
	oif      int
	// strict: the socket is bound to oif. IPv6 then takes no route by another interface.
	strict       bool
	tos          uint8
	sport, dport uint16
	mark         uint32
	uid          uint32
	asUser       bool // uid counts
}

func (q question) String() string {
	s := fmt.Sprintf("route to %v", q.dst)
	if q.src.IsValid() {
		s += fmt.Sprintf(" from %v", q.src)
	}
	if q.oif != 0 {
		s += fmt.Sprintf(" by interface %d", q.oif)
	}
	if q.sport != 0 || q.dport != 0 {
		s += fmt.Sprintf(" (ports %d to %d)", q.sport, q.dport)
	}
	return s
}

// tosMask is the part of the TOS or traffic class that the kernel's own socket looks a route up with. For IPv4 that was three bits
// before Linux 6.12 (include/net/route.h, IPTOS_RT_MASK), which RTM_GETROUTE did not take off by itself in all of them.
func tosMask(is4 bool) uint8 {
	if is4 && !kernelAtLeast(6, 12) {
		return 0x1c
	}
	return 0xfc
}

// message is the body of the RTM_GETROUTE.
//
// The protocol is named because IPv6 takes no answer for "UDP" and hashes it; IPv4 assumes UDP (net/ipv4/route.c,
// inet_rtm_getroute).
func (q question) message() message {
	family, bits := addressFamily(q.dst)
	body := message(nil).u8(family, bits, 0, q.tos, 0, 0, 0, 0).u32(0)
	if q.src.IsValid() {
		body[2] = bits
	}
	body = body.attr(unix.RTA_DST, q.dst.AsSlice())
	if q.src.IsValid() {
		body = body.attr(unix.RTA_SRC, q.src.AsSlice())
	}
	if q.oif != 0 {
		body = body.attr32(unix.RTA_OIF, uint32(q.oif))
	}
	if q.mark != 0 {
		body = body.attr32(unix.RTA_MARK, q.mark)
	}
	if q.asUser {
		body = body.attr32(unix.RTA_UID, q.uid)
	}
	body = body.attr(unix.RTA_IP_PROTO, []byte{unix.IPPROTO_UDP})
	if q.sport != 0 {
		body = body.attrBE16(unix.RTA_SPORT, q.sport)
	}
	if q.dport != 0 {
		body = body.attrBE16(unix.RTA_DPORT, q.dport)
	}
	return body
}

// route asks the kernel where q goes.
func (r *requester) route(q question) (answer, error) {
	var a answer
	ok := false
	err := r.do(unix.RTM_GETROUTE, 0, q.message(), func(b []byte) { a, ok = parseRoute(b) })
	if err == nil && !ok {
		err = errors.New("the kernel's answer is malformed")
	}
	return a, err
}
