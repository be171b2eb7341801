// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipsec

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// Sizes and offsets of linux/xfrm.h: struct xfrm_selector, xfrm_userpolicy_info and xfrm_user_tmpl.
	selectorLen      = 56
	policyLen        = 168
	templateLen      = 64
	priorityAt       = 152
	directionAt      = 160
	actionAt         = 161
	templateOptional = 50

	actionBlock  = 1 // XFRM_POLICY_BLOCK
	typeSub      = 1 // XFRM_POLICY_TYPE_SUB
	defaultsLen  = 3 // struct xfrm_userpolicy_default
	defaultBlock = 1 // XFRM_USERPOLICY_BLOCK
)

// parsePolicy reads an XFRM_MSG_NEWPOLICY of a dump. ok is false for what decides nothing here: another direction, a socket's own
// policy, one of xfrm interfaces; and for what is malformed.
func parsePolicy(b []byte) (p policy, ok bool) {
	// The kernel pads its messages; the library relies on it.
	if len(b) < policyLen || len(b)%4 != 0 || b[directionAt] > uint8(Out) {
		return policy{}, false
	}
	p.direction = Direction(b[directionAt])
	p.priority = binary.NativeEndian.Uint32(b[priorityAt:])
	if p.selector, ok = parseSelector(b[:selectorLen]); !ok {
		return policy{}, false
	}
	attrs, err := nl.ParseRouteAttr(b[policyLen:])
	if err != nil {
		return policy{}, false
	}
	transforms, required := false, false
	for _, a := range attrs {
		switch a.Attr.Type {
		case nl.XFRMA_TMPL:
			transforms = transforms || len(a.Value) > 0
			for t := a.Value; len(t) >= templateLen; t = t[templateLen:] {
				required = required || t[templateOptional] == 0
			}
		case nl.XFRMA_POLICY_TYPE:
			p.sub = len(a.Value) > 0 && a.Value[0] == typeSub
		case nl.XFRMA_MARK:
			if len(a.Value) >= 8 {
				p.mark, p.markMask = binary.NativeEndian.Uint32(a.Value), binary.NativeEndian.Uint32(a.Value[4:])
			}
		case nl.XFRMA_IF_ID:
			if len(a.Value) >= 4 && binary.NativeEndian.Uint32(a.Value) != 0 {
				return policy{}, false
			}
		}
	}
	switch {
	case b[actionAt] == actionBlock:
		p.verdict = Block
	case p.direction == In && required, p.direction == Out && transforms:
		// What comes in need not have gone through an optional transformation; what goes out may do.
		p.verdict = Transform
	}
	return p, true
}

func parseSelector(b []byte) (s selector, ok bool) {
	family := binary.NativeEndian.Uint16(b[40:])
	size := 16
	switch family {
	case unix.AF_INET:
		size, s.is4 = 4, true
	case unix.AF_INET6:
	default:
		return selector{}, false
	}
	dst, _ := netip.AddrFromSlice(b[:size])
	src, _ := netip.AddrFromSlice(b[16 : 16+size])
	s.dst, s.src = netip.PrefixFrom(dst, int(b[42])), netip.PrefixFrom(src, int(b[43]))
	s.dport, s.dportMask = binary.BigEndian.Uint16(b[32:]), binary.BigEndian.Uint16(b[34:])
	s.sport, s.sportMask = binary.BigEndian.Uint16(b[36:]), binary.BigEndian.Uint16(b[38:])
	s.protocol = b[44]
	s.index = int32(binary.NativeEndian.Uint32(b[48:]))
	return s, s.dst.IsValid() && s.src.IsValid()
}

// parseDefaults reads an XFRM_MSG_GETDEFAULT: what becomes of datagrams that no policy matches.
func parseDefaults(b []byte) (v [2]Verdict, ok bool) {
	if len(b) < defaultsLen {
		return v, false
	}
	for d, at := range [2]int{In: 0, Out: 2} {
		if b[at] == defaultBlock {
			v[d] = Block
		}
	}
	return v, true
}
